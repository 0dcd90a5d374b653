"""What the tests of notifications share: the log followed by hand, and a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from audit.models import Event
from core import clock
from notifications.models import Notification
from notifications.services import inbox


@pytest.fixture
def follow(db: None) -> Callable[..., int]:
    """Hands the events of some types to the inbox as its follower would, all of them again each time."""

    def run(*types: str, now: datetime | None = None) -> int:
        events = Event.objects.filter(type__in=types) if types else Event.objects.all()
        return inbox.tell_of(list(events.order_by("id")), now=now or clock.now())

    return run


@pytest.fixture
def told() -> Callable[..., list[Notification]]:
    """What somebody has in their inbox, the oldest first."""

    def of(person: Any, **filters: Any) -> list[Notification]:
        return list(Notification.objects.filter(person=person, **filters).order_by("id"))

    return of
