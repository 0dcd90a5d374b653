from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from audit.services.following import follow
from audit.services.sealing import seal_chunk
from core.relay import HeldLease


@pytest.fixture
def relay(transactional_db: None) -> Callable[[], None]:
    """Seal what was committed and let the followers read it, as the relay does."""
    lease = HeldLease.for_this_process("relay")
    assert lease.take()

    def run() -> None:
        with transaction.atomic():
            while seal_chunk():
                pass
        while follow(lease):
            pass

    return run


@pytest.fixture
def ask(api: Callable[..., Any]) -> Callable[..., Any]:
    """`ask(person, "hope", type="customer")` asks the API and returns the body of the reply."""

    def get(person: Any, q: str, **parameters: Any) -> Any:
        reply = api(person).get("/api/v1/search", {"q": q, **parameters})
        assert reply.status_code == 200, reply.content
        return reply.json()

    return get
