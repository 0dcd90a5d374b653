"""What the tests of accounts share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.providers import session_cache
from core import redis


@pytest.fixture
def valkey(_valkey: Any) -> Any:
    """The server behind the cache."""
    return _valkey


@pytest.fixture
def flush(_valkey: Any) -> Callable[[], None]:
    """Empties the cache."""
    return lambda: _valkey.flushdb()


@pytest.fixture(autouse=True)
def _trust() -> Iterator[None]:
    """A process that saw Redis away distrusts it for a while; the next test is another process."""
    redis.gate.reopen()
    session_cache.trust.restore()
    yield
    redis.gate.reopen()
    session_cache.trust.restore()
