from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from audit.models import Follower
from audit.selectors import sealing
from audit.services.following import follow
from audit.services.sealing import seal_chunk
from core.relay import HeldLease
from search.selectors.state import FOLLOWER

PATIENCE = 120


@pytest.fixture
def relay(transactional_db: None) -> Callable[[], None]:
    """Seal what was committed and let the followers read it, as the relay does."""
    lease = HeldLease.for_this_process("relay")
    assert lease.take()

    def run() -> None:
        end = time.monotonic() + PATIENCE
        while sealing.lag().events:
            with transaction.atomic():
                seal_chunk()
            # On a server that tests share, those of the others hold sealing back.
            assert time.monotonic() < end, sealing.holders()
        while follow(lease):
            pass
        assert not Follower.objects.filter(name=FOLLOWER).exclude(error="").values_list("error", flat=True)

    return run


@pytest.fixture
def ask(api: Callable[..., Any]) -> Callable[..., Any]:
    """`ask(person, "hope", type="customer")` asks the API and returns the body of the reply."""

    def get(person: Any, q: str, **parameters: Any) -> Any:
        reply = api(person).get("/api/v1/search", {"q": q, **parameters})
        assert reply.status_code == 200, reply.content
        return reply.json()

    return get
