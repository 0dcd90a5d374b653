"""A type of event of the tests' own, and a lease to seal under."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

import audit
from core.actor import Actor, ActorType
from core.events import EventType, Subject, catalogue
from core.ids import new_id
from core.relay import HeldLease


@pytest.fixture
def thing_tried() -> Iterator[EventType]:
    event = EventType("tests.thing.tried", "thing", "A thing was tried.", personal=("after.email", "data.who.name"))
    yield event
    del catalogue[event.name]


@pytest.fixture
def somebody() -> Actor:
    return Actor(ActorType.USER, new_id(), label="Ada")


@pytest.fixture
def record_one(thing_tried: EventType, somebody: Actor) -> Callable[..., UUID]:
    """Record one event in a transaction of its own."""

    def record(**kwargs: Any) -> UUID:
        with transaction.atomic():
            return audit.record(thing_tried, **{"actor": somebody, "subject": Subject("thing", new_id()), **kwargs})

    return record


@pytest.fixture
def lease(db: None) -> HeldLease:
    held = HeldLease.for_this_process("relay")
    assert held.take()
    return held
