"""Deliveries: signed, at least once under one id, on the standard's schedule, in order, and never to whom they do not
belong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from accounts.models import Organization
from audit import record
from audit.models import Event
from core import clock, context, personal
from core.actor import Actor, ActorType
from core.events import Subject, catalogue
from core.ids import new_id
from notifications.models import Notification, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.services import inbox, webhook_deliveries, webhook_dispatch, webhook_endpoints, webhook_replays
from notifications.states import SCHEDULE
from tests.billing import factories
from tests.notifications.webhooks.conftest import statuses
from tests.support.receiver import Receiver, Says

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]


def test_is_verified_by_the_standards_own_package(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, organization: Organization
) -> None:
    event = happens("billing.invoice.paid", before={"status": "open"}, after={"status": "paid"}, data={"n": 1})
    run()
    (came,) = receiver.came
    told = Webhook(endpoint.secret).verify(came.body, dict(came.headers))
    assert came.id == event.public_id
    assert told["type"] == "billing.invoice.paid"
    assert told["timestamp"] == event.occurred_at.isoformat().replace("+00:00", "Z")
    assert told["data"] == {
        "organization_id": organization.public_id,
        "subject": {"type": "invoice", "id": told["data"]["subject"]["id"]},
        "before": {"status": "open"},
        "after": {"status": "paid"},
        "data": {"n": 1},
    }
    assert told["data"]["subject"]["id"].startswith("inv_")
    assert statuses() == ["succeeded"]
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(came.body + b" ", dict(came.headers))


def test_signs_with_both_secrets_while_one_is_rotated(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, owner: Any, actor_of: Any
) -> None:
    old = endpoint.secret
    _, new = webhook_endpoints.rotate_secret(actor=actor_of(owner), endpoint=endpoint, now=clock.now())
    happens()
    run()
    came = receiver.came[-1]
    assert len(came.headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        Webhook(secret).verify(came.body, dict(came.headers))
    happens()
    run(timedelta(hours=25))
    late = receiver.came[-1]
    assert len(late.headers["webhook-signature"].split()) == 1
    _, last = webhook_endpoints.rotate_secret(
        actor=actor_of(owner), endpoint=endpoint, overlap=timedelta(0), now=clock.now()
    )
    happens()
    run()
    Webhook(last).verify(receiver.came[-1].body, dict(receiver.came[-1].headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(receiver.came[-1].body, dict(receiver.came[-1].headers))


def test_goes_to_the_endpoints_that_want_it_and_to_no_other(
    make_endpoint: Run, happens: Run, run: Run, receiver: Receiver, other_organization: Organization
) -> None:
    make_endpoint("/exact", types=["billing.invoice.paid"])
    make_endpoint("/many", types=["billing.invoice.*"])
    make_endpoint("/all", types=["*"])
    make_endpoint("/other", types=["billing.payment.*"])
    happens("billing.invoice.paid")
    happens("billing.invoice.voided")
    happens("billing.invoice.paid", organization_id=other_organization.pk)
    run()
    assert sorted((one.path, one.json["type"].rpartition(".")[2]) for one in receiver.came) == [
        ("/all", "paid"), ("/all", "voided"), ("/exact", "paid"), ("/many", "paid"), ("/many", "voided"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["core.command.refused", "core.job.died", "accounts.session.started"])
def test_tells_nothing_of_what_is_not_the_organisations(endpoint: Any, name: str) -> None:
    subject = catalogue[name].subject.replace("*", "thing")
    about = Subject(subject, new_id(), endpoint.organization_id)
    with transaction.atomic():
        found = record(catalogue[name], actor=Actor(ActorType.USER, new_id()), subject=about)
    assert webhook_deliveries.fan_out([Event.objects.get(pk=found)], now=clock.now()) == 0


def test_leaves_out_who_did_it_from_where_and_why(endpoint: Any, happens: Run, run: Run, receiver: Receiver) -> None:
    with context.changed(ip="203.0.113.9", user_agent="Secret/1", reason="A staff matter"):
        happens(
            "billing.subscription.suspended",
            actor=Actor(ActorType.STAFF, new_id()),
            data={"reason": "Suspected of fraud", "kind": "x"},
        )
    run()
    text = receiver.came[0].body.decode()
    for word in ("203.0.113.9", "Secret/1", "staff", "fraud", "actor", "context"):
        assert word not in text
    assert receiver.came[0].json["data"]["data"] == {"kind": "x"}


def test_sends_personal_fields_in_clear_and_keeps_them_encrypted(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, organization: Organization
) -> None:
    customer = factories.customer(organization=organization, name="Ada Customer")
    happens("billing.customer.updated", customer.pk, after={"name": "Ada Customer", "email": "ada@example.com"})
    assert "Ada" not in str(WebhookDelivery.objects.get().payload)
    run()
    assert receiver.came[0].json["data"]["after"] == {"name": "Ada Customer", "email": "ada@example.com"}


def test_does_not_send_whoever_was_erased_meanwhile(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, organization: Organization
) -> None:
    customer = factories.customer(organization=organization)
    happens("billing.customer.updated", customer.pk, after={"name": "Ada", "email": "ada@example.com"})
    personal.destroy_key(customer)
    run()
    assert receiver.came[0].json["data"]["after"] == {"name": None, "email": None}


def test_hides_personal_fields_of_persons_who_are_not_the_organisations(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver
) -> None:
    person = Subject("user", new_id())
    happens("billing.customer.updated", new_id(), after={"name": "Ada", "n": 1}, person=person)
    run()
    assert receiver.came[0].json["data"]["after"] == {"name": None, "n": 1}


def test_makes_one_delivery_however_often_an_event_is_read(endpoint: Any, happens: Run) -> None:
    event = happens()
    for _ in range(3):
        webhook_deliveries.fan_out([event, event], now=clock.now())
    assert WebhookDelivery.objects.count() == 1


def test_tells_nothing_of_what_happened_before(make_endpoint: Run, happens: Run) -> None:
    event = happens()
    make_endpoint()
    webhook_deliveries.fan_out([event], now=clock.now())
    assert not WebhookDelivery.objects.exists()


def test_sends_nothing_twice_when_its_follower_is_set_back_beyond_what_is_kept(
    endpoint: Any, happens: Run, run: Run
) -> None:
    event = happens()
    run()
    later = clock.now() + timedelta(days=settings.WEBHOOK_RETENTION_DAYS, hours=1)
    webhook_dispatch.forget_old(later)
    assert webhook_deliveries.fan_out([event], now=later) == 0


def test_tries_again_on_the_schedule_of_the_standard_and_then_gives_up(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, calm: Run, settings: Any
) -> None:
    settings.WEBHOOK_DISABLE_AFTER_DAYS = 30
    receiver.answers = [Says(500, body=b"broken")]
    event = happens()
    now = run()
    for number in range(1, len(SCHEDULE)):
        calm()
        delivery = WebhookDelivery.objects.get()
        assert (delivery.status, delivery.attempts) == ("pending", number)
        wait = delivery.next_attempt_at - now
        assert SCHEDULE[number] <= wait <= SCHEDULE[number] * 1.1 + timedelta(seconds=1)
        run(delivery.next_attempt_at - timedelta(seconds=1))
        assert len(receiver.came) == number, "not before its moment"
        now = run(delivery.next_attempt_at)
    assert receiver.ids == [event.public_id] * 10
    assert statuses() == ["failed"]
    assert Event.objects.filter(type="notifications.webhook_delivery.exhausted").count() == 1
    assert set(WebhookAttempt.objects.values_list("status_code", "response_body")) == {(500, "broken")}
    calm()
    run(timedelta(days=60))
    assert len(receiver.came) == 10


def test_succeeds_under_the_same_id_after_failures(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, calm: Run
) -> None:
    receiver.answers = [Says(500), Says(404), Says(200, body=b"thanks")]
    happens()
    run()
    for _ in range(2):
        run(WebhookDelivery.objects.get().next_attempt_at)
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.last_status_code) == ("succeeded", 3, 200)
    assert len(set(receiver.ids)) == 1
    assert len({one.headers["webhook-timestamp"] for one in receiver.came}) == 3, "each attempt is signed for itself"
    for one in receiver.came:
        assert one.body == receiver.came[0].body
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


def test_follows_no_redirect(endpoint: Any, happens: Run, run: Run, receiver: Receiver) -> None:
    receiver.answers = [Says(307, {"Location": f"{receiver.url}/elsewhere"})]
    happens()
    run()
    assert [one.path for one in receiver.came] == ["/hook"]
    assert WebhookDelivery.objects.get().last_outcome == "redirected"
    assert statuses() == ["pending"]


def test_disables_an_endpoint_that_is_gone(endpoint: Any, happens: Run, run: Run, receiver: Receiver) -> None:
    receiver.answers = [Says(410)]
    happens()
    run()
    endpoint.refresh_from_db()
    assert (endpoint.is_enabled, endpoint.disabled_reason) == (False, "gone")
    assert statuses() == ["failed"]
    happens()
    run()
    assert len(receiver.came) == 1
    assert statuses() == ["failed", "skipped"]
    event = Event.objects.get(type="notifications.webhook_endpoint.disabled")
    assert event.after == {"is_enabled": False, "disabled_reason": "gone"}


def test_disables_an_endpoint_that_fails_for_days(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, calm: Run
) -> None:
    receiver.answers = [Says(503)]
    happens()
    run()
    WebhookEndpoint.objects.update(failing_since=clock.now() - timedelta(days=5, seconds=1))
    calm()
    run(timedelta(minutes=1))
    endpoint.refresh_from_db()
    assert (endpoint.is_enabled, endpoint.disabled_reason) == (False, "failing")
    happens()
    assert statuses()[-1] == "skipped"
    run(timedelta(days=2))
    assert statuses() == ["skipped", "skipped"]
    assert len(receiver.came) == 2


@pytest.mark.parametrize(("status", "asked", "least"), [(429, "120", 120), (503, "3600", 3600), (500, "3600", 0)])
def test_waits_as_long_as_it_is_asked_to(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, status: int, asked: str, least: int
) -> None:
    receiver.answers = [Says(status, {"Retry-After": asked}), Says(204)]
    happens()
    now = run()
    delivery = WebhookDelivery.objects.get()
    assert timedelta(seconds=max(least, 5)) <= delivery.next_attempt_at - now < timedelta(seconds=max(least, 5) + 3)
    happens()
    run(now + timedelta(seconds=4))
    assert len(receiver.came) == (1 if least else 2), "nothing else is sent meanwhile either"


def test_keeps_a_pause_that_is_longer(endpoint: Any, happens: Run, run: Run, receiver: Receiver) -> None:
    asked = Says(429, {"Retry-After": "3600"})
    receiver.answers = [asked, Says(204), Says(503, {"Retry-After": "60"}), Says(204)]
    for _ in range(3):
        happens()
    now = run()
    endpoint.refresh_from_db()
    assert endpoint.paused_until >= now + timedelta(seconds=3600)
    happens()
    run(now + timedelta(seconds=600))
    assert len(receiver.came) < 4


def test_does_not_count_a_failed_test_as_days_of_failure(
    endpoint: Any, receiver: Receiver, owner: Any, actor_of: Any
) -> None:
    receiver.answers = [Says(500), Says(204)]
    tried = {"actor": actor_of(owner), "endpoint": endpoint, "now": clock.now()}
    assert webhook_replays.send_test(operation_key="one", **tried).status == "failed"
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


def test_tells_the_administrators_when_an_endpoint_is_disabled(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, owner: Any, team_mate: Any
) -> None:
    receiver.answers = [Says(410)]
    happens()
    run()
    inbox.tell_of(list(Event.objects.filter(type="notifications.webhook_endpoint.disabled")), now=clock.now())
    (told,) = Notification.objects.filter(person=owner, kind="webhooks")
    assert endpoint.shown_url in told.subject + told.text
    assert not Notification.objects.filter(person=team_mate).exists()


def test_keeps_the_beginning_of_an_answer_only(endpoint: Any, happens: Run, run: Run, receiver: Receiver) -> None:
    receiver.answers = [Says(500, body=b"\x00\xff" + b"x" * 1_000_000)]
    happens()
    run()
    assert len(WebhookAttempt.objects.get().response_body) <= 2048


def test_gives_up_an_answer_that_trickles_in(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, settings: Any
) -> None:
    settings.WEBHOOK_TIMEOUT = 0.5
    receiver.answers = [Says(204, delay=8)]
    happens()
    run()
    attempt = WebhookAttempt.objects.get()
    assert (attempt.outcome, attempt.status_code) == ("timed_out", None)
    assert attempt.duration_ms < 6000


def test_says_when_nobody_listens(make_endpoint: Run, happens: Run, run: Run) -> None:
    make_endpoint(url="http://127.0.0.1:9/closed")
    happens()
    run()
    assert WebhookAttempt.objects.get().outcome == "unreachable"


def test_forgets_what_is_old_and_keeps_what_is_on_its_way(endpoint: Any, happens: Run, run: Run) -> None:
    happens()
    run()
    happens()
    later = clock.now() + timedelta(days=settings.WEBHOOK_RETENTION_DAYS, hours=1)
    assert webhook_dispatch.forget_old(clock.now()) == 0
    assert webhook_dispatch.forget_old(later) == 1
    assert statuses() == ["pending"]
