"""Webhooks in the admin: what was sent and answered, and the commands of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from audit.models import Event
from core import jobs
from core.admin.html import admin_url
from notifications.models import WebhookDelivery
from tests.admin.conftest import give as _give
from tests.notifications.webhooks.conftest import statuses
from tests.support.receiver import Receiver, Says

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]


give = _give


@pytest.fixture
def desk(staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def test_shows_what_was_sent_and_what_was_answered(
    desk: Client, endpoint: Any, happens: Run, run: Run, receiver: Receiver
) -> None:
    receiver.answers = [Says(500, body=b"<b>broken</b>")]
    event = happens(after={"status": "paid"})
    run()
    shown = desk.get(admin_url(WebhookDelivery.objects.get())).content.decode()
    for words in ("500", "&lt;b&gt;broken&lt;/b&gt;", event.public_id, "billing.invoice.paid", "rejected"):
        assert words in shown
    page = desk.get(admin_url(endpoint)).content.decode()
    for words in (endpoint.shown_url, "failing", "billing.invoice.paid", "A webhook endpoint was set up."):
        assert words in page
    assert endpoint.secret not in page


def test_gives_the_commands_of_the_api_with_a_reason(
    give: Any,
    endpoint: Any,
    happens: Run,
    run: Run,
    receiver: Receiver,
    staff: User,
) -> None:
    assert b"The endpoint answered 204." in give(endpoint, "send-test", reason="Asked to").content
    receiver.answers = [Says(503), Says(204)]
    assert b"it answered 503" in give(endpoint, "send-test", reason="Asked to").content
    give(endpoint, "disable", reason="Asked to")
    endpoint.refresh_from_db()
    assert not endpoint.is_enabled
    missed = happens()
    endpoint.refresh_from_db()
    give(endpoint, "enable", reason="Asked to")
    endpoint.refresh_from_db()
    give(endpoint, "recover", days=1, reason="Asked to")
    jobs.drain()
    run()
    assert receiver.ids[-1] == missed.public_id
    delivery = WebhookDelivery.objects.get(event_id=missed.pk)
    give(delivery, "replay", reason="Once more")
    run()
    assert receiver.ids[-2:] == [missed.public_id] * 2
    assert statuses().count("failed") == 1, "the second test"
    event = Event.objects.get(type="notifications.webhook_delivery.replayed")
    assert (event.actor_id, event.context["reason"]) == (staff.pk, "Once more")


@pytest.mark.parametrize("name", ["webhookendpoint", "webhookdelivery"])
def test_asks_as_many_questions_for_many_rows_as_for_few(
    desk: Client, make_endpoint: Run, happens: Run, name: str
) -> None:
    address = reverse(f"admin:notifications_{name}_changelist")

    def queries() -> int:
        with CaptureQueriesContext(connection) as counted:
            assert desk.get(address).status_code == 200
        return len(counted)

    for _ in range(5):
        make_endpoint()
    happens()
    queries()
    few = queries()
    for _ in range(40):
        make_endpoint()
    happens()
    assert queries() == few
