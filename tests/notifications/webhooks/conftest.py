"""What the tests of webhooks share: a receiver, endpoints, events, and a house whose clock is turned by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from accounts.actors import actor_of_user
from accounts.models import Organization, User
from audit import record
from audit.models import Event
from audit.services.sealing import seal_chunk
from core import clock, jobs
from core.actor import SYSTEM
from core.events import Subject, catalogue
from core.ids import new_id
from core.relay import HeldLease
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.services import webhook_deliveries, webhook_dispatch, webhook_endpoints
from tests.support.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def make_endpoint(organization: Organization, owner: User, receiver: Receiver) -> Callable[..., WebhookEndpoint]:
    """`make_endpoint(path, types=[...])`: an endpoint of the owner's organisation; its secret is at `.secret`."""

    def make(path: str = "/hook", *, types: Any = ("*",), url: str = "", **values: Any) -> WebhookEndpoint:
        endpoint, secret = webhook_endpoints.create(
            **{
                "actor": actor_of_user(owner),
                "organization": organization,
                "url": url or receiver.url + path,
                "event_types": list(types),
                "now": clock.now(),
                **values,
            }
        )
        endpoint.secret = secret  # type: ignore[attr-defined]
        return endpoint

    return make


@pytest.fixture
def endpoint(make_endpoint: Callable[..., WebhookEndpoint]) -> WebhookEndpoint:
    return make_endpoint()


@pytest.fixture
def happens(organization: Organization) -> Callable[..., Event]:
    """`happens("billing.invoice.paid", subject_id)`: an event of the owner's organisation, told to its endpoints."""

    def tell(name: str = "billing.invoice.paid", subject: UUID | None = None, **values: Any) -> Event:
        kind = catalogue[name]
        about = Subject(kind.subject, subject or new_id(), values.pop("organization_id", organization.pk))
        with transaction.atomic():
            found = record(kind, **{"actor": SYSTEM, "subject": about, **values})
        with transaction.atomic():
            while seal_chunk():
                pass
        event = Event.objects.get(pk=found)
        webhook_deliveries.fan_out([event], now=clock.now())
        return event

    return tell


@pytest.fixture
def run() -> Callable[..., datetime]:
    """`run(later)`: let the house work until nothing is due, at the moment `later` from now; returns that moment."""

    def work(later: timedelta | datetime = timedelta(seconds=1)) -> datetime:
        now = later if isinstance(later, datetime) else clock.now() + later
        a_little_later = now + timedelta(seconds=0.5)  # what waits for another is due when that has ended
        while webhook_dispatch.dispatch_due(a_little_later):
            jobs.drain(max(now, clock.now()))
        return now

    return work


@pytest.fixture
def calm(_valkey: Any) -> Callable[[], None]:
    """Forget what the breakers know: these tests turn the clock, and breakers go by the real one."""

    def forget() -> None:
        _valkey.flushdb()
        WebhookEndpoint.objects.update(paused_until=None)

    return forget


def statuses() -> list[str]:
    return list(WebhookDelivery.objects.order_by("position", "id").values_list("status", flat=True))


@pytest.fixture
def lease(db: None) -> HeldLease:
    held = HeldLease.for_this_process("relay")
    assert held.take()
    return held
