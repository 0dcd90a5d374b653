"""What the tests of notifications share: the log followed by hand, and a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from accounts.actors import actor_of_user
from audit.models import Event
from core import clock, outside, redis
from core.breaker import Breaker
from notifications.models import Notification
from notifications.preferences import Choice
from notifications.services import inbox, preferences
from notifications.states import MailChoice
from tests.admin.conftest import desk, give  # noqa: F401
from tests.support.smtp import Server, Sink


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


@pytest.fixture
def sink(settings: Any) -> Iterator[Sink]:
    """A mail server on the loopback that the product is set to, with a fresh breaker."""
    redis.gate.reopen()
    known = outside.provider("mail")
    old, known.breaker = known.breaker, Breaker("mail")
    with Server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.sink.port
        yield server.sink
    known.breaker = old


@pytest.fixture
def wants() -> Callable[..., None]:
    """Sets what a person chose."""

    def choose(person: Any, time_zone: str = "", **email: str) -> None:
        choices = {kind: Choice(True, MailChoice(value)) for kind, value in email.items()}
        preferences.change(actor=actor_of_user(person), choices=choices, time_zone=time_zone, now=clock.now())

    return choose
