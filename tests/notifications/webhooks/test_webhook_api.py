"""Webhooks over the API: setting up, rotating, testing, looking, sending again; and refusals."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from standardwebhooks.webhooks import Webhook

from audit.models import Event
from core import clock, jobs
from core.errors import InvalidInput
from core.ids import new_id
from notifications.models import WebhookDelivery, WebhookEndpoint, WebhookSecret
from notifications.selectors.webhooks import published, wants
from tests.notifications.webhooks.conftest import statuses
from tests.support.receiver import Receiver, Says

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/webhooks"
Run = Callable[..., Any]


@pytest.fixture
def mine(api: Any, owner: Any, organization: Any) -> Any:
    return api(owner)


def set_up(client: Any, receiver: Receiver, **more: Any) -> Any:
    body = {"url": f"{receiver.url}/hook", "event_types": ["billing.invoice.*"], **more}
    return client.post(f"{URL}/endpoints", body)


def command(client: Any, endpoint: Any, verb: str, body: Any = None, **headers: Any) -> Any:
    name = endpoint if isinstance(endpoint, str) else endpoint.public_id
    return client.post(f"{URL}/endpoints/{name}/{verb}", body, **headers)


def test_shows_the_secret_once(mine: Any, receiver: Receiver, organization: Any) -> None:
    made = set_up(mine, receiver, description="Accounting")
    assert made.status_code == 201, made.content
    body = made.json()
    secret = body["secret"]
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    assert body["organization_id"] == organization.public_id
    shown = mine.get(f"{URL}/endpoints/{body['id']}").json()
    assert "secret" not in shown
    assert (shown["is_enabled"], shown["description"]) == (True, "Accounting")
    assert secret not in str(list(WebhookSecret.objects.values_list("envelope", flat=True)))
    assert secret not in str(list(Event.objects.values_list("after", "data")))


def test_does_not_keep_the_secret_for_a_retry(mine: Any, receiver: Receiver) -> None:
    key = {"HTTP_IDEMPOTENCY_KEY": new_id().hex}
    body = {"url": f"{receiver.url}/hook", "event_types": ["*"]}
    assert mine.post(f"{URL}/endpoints", body, **key).status_code == 201
    again = mine.post(f"{URL}/endpoints", body, **key)
    assert (again.status_code, again.json()["code"]) == (409, "reply_not_kept")
    assert WebhookEndpoint.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"url": "ftp://example.com/"}, "/url", "invalid_url"),
        ({"url": "https://user:password@example.com/"}, "/url", "invalid_url"),
        ({"url": "https://10.0.0.1/"}, "/url", "invalid_url"),
        ({"url": "https://example.com/#part"}, "/url", "invalid_url"),
        ({"url": "no url"}, "/url", "invalid_url"),
        ({"event_types": []}, "/event_types", None),
        ({"event_types": ["billing.invoice.eaten"]}, "/event_types/0", "invalid_choice"),
        ({"event_types": ["core.job.died"]}, "/event_types/0", "invalid_choice"),
        ({"event_types": ["accounts.session.*"]}, "/event_types/0", "invalid_choice"),
        ({"event_types": ["billing.invoice*"]}, "/event_types/0", "invalid_choice"),
        ({"event_types": ["*.paid"]}, "/event_types/0", "invalid_choice"),
        ({"secret": "whsec_mine"}, "/secret", "unknown_field"),
    ],
)
def test_points_at_what_is_wrong(mine: Any, receiver: Receiver, body: Any, pointer: str, code: str | None) -> None:
    reply = set_up(mine, receiver, **body)
    assert reply.status_code == 400, reply.content
    fault = reply.json()["errors"][0]
    assert fault["pointer"].startswith(pointer)
    assert code in (None, fault["code"])
    assert not WebhookEndpoint.objects.exists()


def test_refuses_a_type_that_is_unknown_below_the_api_too(make_endpoint: Run) -> None:
    with pytest.raises(InvalidInput, match=r"billing\.invoice\.eaten"):
        make_endpoint(types=["billing.invoice.paid", "billing.invoice.eaten"])


def test_publishes_what_may_be_sent(mine: Any, api: Any) -> None:
    shown = mine.get(f"{URL}/event-types").json()["data"]
    names = [one["name"] for one in shown]
    assert names == [kind.name for kind in published()] == sorted(names)
    assert {"billing.invoice.paid", "billing.subscription.canceled", "accounts.membership.created"} <= set(names)
    for name in names:
        assert not name.startswith(("core.", "audit.", "notifications.", "accounts.session.", "accounts.user."))
    assert "billing.product.created" not in names, "the catalogue is no organisation's"
    assert api().get(f"{URL}/event-types").status_code == 401


def test_matches_patterns_at_their_dots_only() -> None:
    assert wants(["billing.invoice.*"], "billing.invoice.paid")
    assert not wants(["billing.invoice.*"], "billing.invoices.paid")
    assert not wants(["billing.invoice"], "billing.invoice.paid")
    assert wants(["*"], "billing.invoice.paid")


def test_changes_what_is_given_at_the_version_that_is_named(mine: Any, receiver: Receiver) -> None:
    made = set_up(mine, receiver)
    address = f"{URL}/endpoints/{made.json()['id']}"
    tag = mine.get(address).headers["ETag"]
    changed = mine.patch(address, {"event_types": ["billing.payment.*"]}, HTTP_IF_MATCH=tag)
    assert changed.status_code == 200, changed.content
    assert changed.json()["event_types"] == ["billing.payment.*"]
    assert mine.patch(address, {"description": "late"}, HTTP_IF_MATCH=tag).status_code == 412
    event = Event.objects.get(type="notifications.webhook_endpoint.updated")
    assert event.before == {"event_types": ["billing.invoice.*"]}
    assert mine.patch(address, {"event_types": ["billing.payment.*"]}).status_code == 200
    assert Event.objects.filter(type="notifications.webhook_endpoint.updated").count() == 1, "nothing changed"


def test_keeps_the_query_of_a_url_out_of_the_log(mine: Any, receiver: Receiver) -> None:
    set_up(mine, receiver, url=f"{receiver.url}/hook?token=hunter2")
    assert "hunter2" not in str(list(Event.objects.values_list("after", "data", "before")))


def test_removes_an_endpoint_with_its_secrets(mine: Any, endpoint: Any, happens: Run, run: Run, receiver: Any) -> None:
    happens()
    assert mine.delete(f"{URL}/endpoints/{endpoint.public_id}").status_code == 204
    run()
    assert not receiver.came
    assert statuses() == ["skipped"]
    assert not WebhookSecret.objects.exists()
    assert mine.get(f"{URL}/endpoints/{endpoint.public_id}").status_code == 404
    assert mine.delete(f"{URL}/endpoints/{endpoint.public_id}").status_code == 404
    assert command(mine, endpoint, "enable").status_code == 404
    assert mine.get(f"{URL}/endpoints").json()["data"] == []
    happens()
    assert WebhookDelivery.objects.count() == 1


def test_rotates_the_secret_with_an_overlap(mine: Any, endpoint: Any) -> None:
    reply = command(mine, endpoint, "rotate-secret", {"overlap_seconds": 3600})
    assert reply.status_code == 200, reply.content
    assert reply.json()["secret"] != endpoint.secret
    assert reply.json()["previous_secret_expires_at"] is not None
    at_once = command(mine, endpoint, "rotate-secret", {"overlap_seconds": 0}).json()
    assert at_once["previous_secret_expires_at"] is None
    assert WebhookSecret.objects.count() == 1
    assert command(mine, endpoint, "rotate-secret", {"overlap_seconds": 604801}).status_code == 400


def test_disables_and_enables_and_names_the_true_state(mine: Any, endpoint: Any) -> None:
    off = command(mine, endpoint, "disable")
    assert (off.json()["is_enabled"], off.json()["disabled_reason"]) == (False, "by_hand")
    again = command(mine, endpoint, "disable")
    assert (again.status_code, again.json()["current_status"]) == (409, "disabled")
    assert again.json()["allowed_commands"] == ["enable"]
    on = command(mine, endpoint, "enable").json()
    assert (on["is_enabled"], on["disabled_at"], on["disabled_reason"]) == (True, None, "")
    assert command(mine, endpoint, "enable").status_code == 409


@pytest.mark.parametrize(("status", "wanted"), [(204, "succeeded"), (500, "failed"), (302, "failed")])
def test_sends_a_test_at_once_and_shows_the_answer(
    mine: Any, endpoint: Any, receiver: Receiver, status: int, wanted: str
) -> None:
    receiver.answers = [Says(status, body=b"hello")]
    reply = command(mine, endpoint, "send-test")
    assert reply.status_code == 200, reply.content
    body = reply.json()
    assert (body["status"], body["last_status_code"], body["is_test"]) == (wanted, status, True)
    assert body["attempt_log"][0]["response_body"] == ("hello" if status != 204 else "")
    (came,) = receiver.came
    Webhook(endpoint.secret).verify(came.body, dict(came.headers))
    assert came.id == body["event_id"]
    assert came.json["type"] == "notifications.webhook_endpoint.tested"


def test_sends_a_test_once_for_one_key(mine: Any, endpoint: Any, receiver: Receiver) -> None:
    key = {"HTTP_IDEMPOTENCY_KEY": new_id().hex}
    first, second = (command(mine, endpoint, "send-test", **key) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert len(receiver.came) == 1


def test_shows_what_was_sent_and_every_answer(mine: Any, endpoint: Any, happens: Run, run: Run, receiver: Any) -> None:
    receiver.answers = [Says(500, body=b"broken"), Says(200, body=b"thanks")]
    event = happens(after={"status": "paid"})
    run()
    run(timedelta(seconds=10))
    listed = mine.get(f"{URL}/deliveries?status=succeeded&endpoint_id={endpoint.public_id}").json()["data"]
    assert [one["event_id"] for one in listed] == [event.public_id]
    shown = mine.get(f"{URL}/deliveries/{listed[0]['id']}").json()
    assert shown["payload"] == receiver.came[-1].json
    answers = [(one["number"], one["status_code"], one["response_body"]) for one in shown["attempt_log"]]
    assert answers == [(2, 200, "thanks"), (1, 500, "broken")]


def test_filters_deliveries(mine: Any, endpoint: Any, happens: Run, run: Run) -> None:
    paid, voided = happens("billing.invoice.paid"), happens("billing.invoice.voided")
    run()

    def found(query: str) -> list[str]:
        return [one["event_id"] for one in mine.get(f"{URL}/deliveries?{query}").json()["data"]]

    assert found("") == [voided.public_id, paid.public_id]
    assert found("event_type=billing.invoice.paid") == [paid.public_id]
    assert found(f"event_id={voided.public_id}") == [voided.public_id]
    assert found("status=failed") == []
    assert found("created_before=2020-01-01T00:00:00Z") == []
    assert mine.get(f"{URL}/deliveries?status=lost").status_code == 400


def test_replays_one_delivery_under_the_same_id(
    mine: Any, endpoint: Any, happens: Run, run: Run, receiver: Receiver
) -> None:
    event = happens()
    name = WebhookDelivery.objects.get().public_id
    early = mine.post(f"{URL}/deliveries/{name}/replay")
    assert (early.status_code, early.json()["current_status"]) == (409, "pending")
    run()
    again = mine.post(f"{URL}/deliveries/{name}/replay")
    assert (again.status_code, again.json()["status"]) == (200, "pending")
    run(timedelta(seconds=2))
    assert receiver.ids == [event.public_id] * 2
    assert statuses() == ["succeeded"]
    shown = mine.get(f"{URL}/deliveries/{name}").json()
    assert (shown["attempts"], shown["attempts_made"]) == (1, 2)


def test_recovers_what_was_missed_in_its_order(
    mine: Any, endpoint: Any, happens: Run, run: Run, receiver: Receiver
) -> None:
    happens()
    run()
    command(mine, endpoint, "disable")
    refused = command(mine, endpoint, "recover", {"since": "2026-01-01T00:00:00Z"})
    assert (refused.status_code, refused.json()["code"]) == (409, "endpoint_disabled")
    subject = new_id()
    missed = [happens(subject=subject).public_id for _ in range(5)]
    assert statuses() == ["succeeded"] + ["skipped"] * 5
    command(mine, endpoint, "enable")
    receiver.came.clear()
    since = (clock.now() - timedelta(hours=1)).isoformat()
    reply = command(mine, endpoint, "recover", {"since": since})
    assert reply.status_code == 202, reply.content
    address = reply.headers["Location"]
    jobs.drain()
    assert mine.get(address).json()["result"] == {"queued": 5}
    run()
    assert receiver.ids == missed
    later = command(mine, endpoint, "recover", {"since": (clock.now() + timedelta(hours=1)).isoformat()})
    assert later.status_code == 400


def test_lets_only_administrators_near(api: Any, team_mate: Any, stranger: Any, endpoint: Any) -> None:
    for path in ("endpoints", "deliveries", f"endpoints/{endpoint.public_id}"):
        assert api(team_mate).get(f"{URL}/{path}").status_code == 403
    client = api(stranger)
    assert client.get(f"{URL}/endpoints").json()["data"] == []
    assert client.get(f"{URL}/endpoints/{endpoint.public_id}").status_code == 404
    assert command(client, endpoint, "rotate-secret", {}).status_code == 404


def test_asks_staff_for_which_organisation(api: Any, staff: Any, organization: Any, receiver: Receiver) -> None:
    client = api(staff)
    assert set_up(client, receiver).json()["errors"][0]["pointer"] == "/organization_id"
    assert set_up(client, receiver, organization_id=organization.public_id).status_code == 201


def test_bounds_the_endpoints_of_an_organisation(
    mine: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifications.services.webhook_endpoints.MOST_ENDPOINTS", 1)
    assert set_up(mine, receiver).status_code == 201
    second = set_up(mine, receiver)
    assert (second.status_code, second.json()["code"]) == (422, "too_many_endpoints")


@pytest.mark.parametrize("path", ["endpoints", "deliveries"])
def test_asks_as_many_questions_for_fifty_rows_as_for_five(
    mine: Any, make_endpoint: Run, happens: Run, path: str, settings: Any
) -> None:
    settings.RATE_LIMIT_SCALE = 1e6

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as counted:
            assert mine.get(f"{URL}/{path}?limit=100").status_code == 200
        return len(counted)

    def fill(number: int) -> None:
        for _ in range(number):
            make_endpoint()
        happens()

    fill(5)
    queries()
    few = queries()
    fill(43)
    assert queries() == few
