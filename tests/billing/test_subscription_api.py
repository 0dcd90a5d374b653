"""Subscriptions over the API: subscribing, paying, changing, ending; refusals tell the true state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from audit.models import Event
from billing.models import Customer, Invoice, Payment, Price, Subscription
from core import clock
from core.ids import new_id
from tests.billing import factories

pytestmark = pytest.mark.django_db
URL = "/api/v1/subscriptions"


def key() -> dict[str, str]:
    return {"HTTP_IDEMPOTENCY_KEY": new_id().hex}


def subscribe(client: Any, customer: Customer, price: Price, **more: Any) -> Any:
    body = {"customer_id": customer.public_id, "items": [{"price_id": price.public_id}], **more}
    return client.post(URL, body, **key())


@pytest.fixture
def mine(api: Any, owner: Any) -> Any:
    return api(owner)


@pytest.fixture
def running(customer: Customer, price: Price) -> Subscription:
    return factories.subscription(customer, price, start=clock.now())


def command(client: Any, subscription: Subscription, verb: str, **body: Any) -> Any:
    return client.post(f"{URL}/{subscription.public_id}/{verb}", body, **key())


def test_subscribes_and_pays_the_first_invoice(mine: Any, customer: Customer, price: Price) -> None:
    reply = subscribe(mine, customer, price)
    assert reply.status_code == 201, reply.content
    body = reply.json()
    assert body["status"] == "active"
    assert body["items"][0]["price_id"] == price.public_id
    assert body["allowed_commands"] == ["cancel", "cancel_at_period_end", "change_plan", "pause", "suspend"]
    assert Payment.objects.get().status == "succeeded"
    assert Invoice.objects.get().status == "paid"
    types = set(Event.objects.filter(type__startswith="billing.").values_list("type", flat=True))
    assert {"billing.subscription.created", "billing.subscription.activated", "billing.payment.succeeded"} <= types


@pytest.mark.parametrize("items", [None, [], {}, "none", [None], [{"price_id": "undefined"}], [{"quantity": 1}]])
def test_points_at_a_list_that_is_missing_or_no_list(mine: Any, customer: Customer, items: Any) -> None:
    body = {"customer_id": customer.public_id} | ({} if items is None else {"items": items})
    reply = mine.post("/api/v1/subscriptions", body, **key())
    assert reply.status_code == 400
    assert all(fault["pointer"].startswith("/items") for fault in reply.json()["errors"])
    assert not Subscription.objects.exists()


def test_subscribes_once_for_one_key(mine: Any, customer: Customer, price: Price) -> None:
    body = {"customer_id": customer.public_id, "items": [{"price_id": price.public_id}]}
    headers = key()
    first, second = mine.post(URL, body, **headers), mine.post(URL, body, **headers)
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] == second.json()["id"]
    assert Subscription.objects.count() == Payment.objects.count() == 1


def test_needs_a_key_to_subscribe(mine: Any, customer: Customer, price: Price) -> None:
    body = {"customer_id": customer.public_id, "items": [{"price_id": price.public_id}]}
    assert mine.post(URL, body).status_code in (400, 428)


def test_waits_for_the_first_payment_when_the_charge_is_declined(mine: Any, customer: Customer, price: Price) -> None:
    method = factories.method(customer, "tok_card_declined")
    reply = subscribe(mine, customer, price, payment_method_id=method.public_id)
    assert reply.status_code == 201, reply.content
    assert reply.json()["status"] == "incomplete"
    assert Invoice.objects.get().status == "open"


def test_begins_with_the_trial_of_its_price(mine: Any, customer: Customer, price: Price) -> None:
    price.trial_days = 14
    price.save()
    body = subscribe(mine, customer, price).json()
    assert body["status"] == "trialing"
    assert body["trial_end"] == body["current_period_end"]
    assert not Invoice.objects.exists()


def test_lets_a_customer_try_a_product_once(
    api: Any, mine: Any, staff: Any, customer: Customer, price: Price, product: Any
) -> None:
    price.trial_days = 14
    price.save()
    later = factories.price(amount_minor=500, trial_days=30, product=product)
    assert subscribe(mine, customer, price).json()["status"] == "trialing"
    for again in (price, later):
        reply = subscribe(mine, customer, again)
        assert (reply.status_code, reply.json()["code"]) == (422, "trial_already_used")
    assert (
        mine.post(
            f"{URL}/preview", {"customer_id": customer.public_id, "items": [{"price_id": later.public_id}]}
        ).json()["code"]
        == "trial_already_used"
    )
    assert subscribe(mine, customer, later, trial_days=0).json()["trial_end"] is None
    assert subscribe(mine, customer, later, trial_days=5).json()["errors"][0]["code"] == "staff_only"
    assert subscribe(api(staff), customer, later, trial_days=5).json()["status"] == "trialing"
    other = factories.price(amount_minor=500, trial_days=30)
    assert subscribe(mine, customer, other).json()["status"] == "trialing"


def test_counts_no_trial_that_never_began(mine: Any, customer: Customer, price: Price) -> None:
    price.trial_days = 14
    price.save()
    subscribe(mine, customer, price, starts_at=(clock.now() + timedelta(days=5)).isoformat())
    made = Subscription.objects.get()
    assert command(mine, made, "cancel", at_period_end=False).json()["status"] == "canceled"
    assert subscribe(mine, customer, price).json()["status"] == "trialing"


def test_is_active_at_once_when_there_is_nothing_to_pay(mine: Any, customer: Customer, product: Any) -> None:
    free = factories.price(amount_minor=0, product=product)
    assert subscribe(mine, customer, free).json()["status"] == "active"


def test_refuses_a_price_in_another_currency(mine: Any, customer: Customer, product: Any) -> None:
    reply = subscribe(mine, customer, factories.price(currency="EUR", product=product))
    assert (reply.status_code, reply.json()["code"]) == (422, "currency_mismatch")
    assert not Subscription.objects.exists()


def test_hides_an_unlisted_price(mine: Any, customer: Customer, product: Any) -> None:
    hidden = factories.price(is_listed=False, product=product)
    reply = subscribe(mine, customer, hidden)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["pointer"] == "/items/0/price_id"


def test_lets_no_plain_member_subscribe(api: Any, team_mate: Any, customer: Customer, price: Price) -> None:
    reply = subscribe(api(team_mate), customer, price)
    assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")


def test_hides_the_subscriptions_of_others(api: Any, stranger: Any, running: Subscription) -> None:
    client = api(stranger)
    assert client.get(URL).json()["data"] == []
    assert client.get(f"{URL}/{running.public_id}").status_code == 404
    assert command(client, running, "cancel").status_code == 404
    running.refresh_from_db()
    assert not running.cancel_at_period_end


def test_asks_the_anonymous_to_sign_in(api: Any, running: Subscription) -> None:
    assert api().get(URL).status_code == 401


def test_cancels_at_the_period_end_and_takes_it_back(mine: Any, running: Subscription) -> None:
    body = command(mine, running, "cancel", reason="Too dear").json()
    assert (body["status"], body["cancel_at_period_end"], body["cancel_reason"]) == ("active", True, "Too dear")
    again = command(mine, running, "cancel")
    assert again.status_code == 409
    assert "undo_cancel" in again.json()["allowed_commands"]
    undone = command(mine, running, "undo-cancel").json()
    assert (undone["cancel_at_period_end"], undone["canceled_at"]) == (False, None)


def test_lets_a_cancelled_subscription_only_be_reactivated(mine: Any, running: Subscription) -> None:
    assert command(mine, running, "cancel", at_period_end=False).json()["status"] == "canceled"
    for verb in ("cancel", "pause", "resume", "undo-cancel"):
        reply = command(mine, running, verb)
        problem = reply.json()
        assert reply.status_code == 409
        assert problem["code"] == "invalid_transition"
        assert problem["current_status"] == "canceled"
        assert problem["allowed_commands"] == ["reactivate"]
    body = command(mine, running, "reactivate").json()
    assert (body["status"], body["ended_at"]) == ("incomplete", None)
    assert Invoice.objects.count() == 1


def test_names_a_suspended_subscription_suspended(
    api: Any, mine: Any, staff: Any, running: Subscription, dearer: Price
) -> None:
    assert command(api(staff), running, "suspend", reason="Abuse").status_code == 200
    reply = command(mine, running, "change-plan", price_id=dearer.public_id)
    problem = reply.json()
    assert reply.status_code == 409
    assert problem["current_status"] == "suspended"
    assert problem["command"] == "change_plan"
    assert problem["access"] == "suspended"
    assert problem["allowed_commands"] == ["cancel", "cancel_at_period_end", "unsuspend"]
    assert "canceled" not in problem["detail"]


def test_records_a_refusal_and_changes_nothing(mine: Any, running: Subscription) -> None:
    reply = command(mine, running, "resume")
    assert reply.status_code == 409
    running.refresh_from_db()
    assert (running.status, running.version) == ("active", 1)
    event = Event.objects.get(type="core.command.refused")
    assert event.subject_id == running.pk
    assert event.data["command"] == "billing.subscription.resume"
    assert event.data["current_status"] == "active"


def test_leaves_suspending_to_staff(mine: Any, running: Subscription) -> None:
    assert command(mine, running, "suspend", reason="x").status_code == 403


def test_changes_the_plan_at_the_next_renewal(mine: Any, running: Subscription, dearer: Price) -> None:
    preview = command(mine, running, "preview", price_id=dearer.public_id)
    assert preview.status_code == 200, preview.content
    assert (preview.json()["total_minor"], preview.json()["currency"]) == (9900, "USD")
    body = command(mine, running, "change-plan", price_id=dearer.public_id).json()
    assert body["pending_change"]["price_id"] == dearer.public_id
    assert body["pending_change"]["effective_at"] == body["current_period_end"] == preview.json()["billed_at"]
    assert body["items"][0]["price_id"] != dearer.public_id


def test_refuses_a_plan_change_at_once(mine: Any, running: Subscription, dearer: Price) -> None:
    reply = command(mine, running, "change-plan", price_id=dearer.public_id, effective="now")
    assert (reply.status_code, reply.json()["code"]) == (422, "proration_not_available")


def test_refuses_a_plan_that_is_there_already(mine: Any, running: Subscription, price: Price) -> None:
    reply = command(mine, running, "change-plan", price_id=price.public_id)
    assert (reply.status_code, reply.json()["code"]) == (422, "nothing_to_change")


def test_pauses_and_resumes_within_the_paid_period(mine: Any, running: Subscription) -> None:
    assert command(mine, running, "pause").json()["status"] == "paused"
    assert command(mine, running, "resume").json()["status"] == "active"
    assert not Invoice.objects.exists()


def test_takes_no_status_from_outside(mine: Any, running: Subscription) -> None:
    reply = mine.patch(f"{URL}/{running.public_id}", {"status": "canceled"})
    assert reply.status_code in (400, 405)
    reply = command(mine, running, "cancel", status="canceled")
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["pointer"] == "/status"


def test_previews_a_subscription(mine: Any, customer: Customer, price: Price) -> None:
    body = {"customer_id": customer.public_id, "items": [{"price_id": price.public_id, "quantity": 3}]}
    reply = mine.post(f"{URL}/preview", body)
    assert reply.status_code == 200, reply.content
    assert reply.json()["total_minor"] == 8955
    assert reply.json()["status"] == "incomplete"
    assert not Subscription.objects.exists()


def test_filters_by_status(mine: Any, running: Subscription) -> None:
    assert len(mine.get(f"{URL}?status=active").json()["data"]) == 1
    assert mine.get(f"{URL}?status=canceled").json()["data"] == []
    assert mine.get(f"{URL}?status=nonsense").status_code == 400
    assert mine.get(f"{URL}?colour=blue").json()["errors"][0]["pointer"] == "?colour"


def test_takes_as_many_queries_for_fifty_as_for_five(
    mine: Any, customer: Customer, price: Price, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        factories.subscription(customer, price)
    mine.get(URL)  # after which the session is known
    with django_assert_max_num_queries(20) as few:
        assert len(mine.get(f"{URL}?limit=50").json()["data"]) == 5
    for _ in range(45):
        factories.subscription(customer, price)
    with django_assert_num_queries(len(few)):
        assert len(mine.get(f"{URL}?limit=50").json()["data"]) == 50


def test_owes_nothing_when_cancelled_before_the_first_payment(mine: Any, customer: Customer, price: Price) -> None:
    customer.default_payment_method = None
    customer.save()
    waiting = subscribe(mine, customer, price)
    assert waiting.json()["status"] == "incomplete"
    subscription = Subscription.objects.get()
    assert command(mine, subscription, "cancel").status_code == 409  # there is no period to end
    assert command(mine, subscription, "cancel", at_period_end=False).json()["status"] == "canceled"
    assert Invoice.objects.get().status == "void"


@pytest.mark.parametrize("amount", [10**15, 10**13])
def test_refuses_a_quantity_that_no_invoice_can_hold(api, owner, customer, amount: int) -> None:
    client = api(owner)
    price = factories.price(amount_minor=amount)
    body = {"customer_id": customer.public_id, "items": [{"price_id": price.public_id, "quantity": 10**6}]}
    for route, key in (("", "k"), ("/preview", "p")):
        reply = client.post(f"/api/v1/subscriptions{route}", body, headers={"Idempotency-Key": key})
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/items")
    running = factories.subscription(customer)
    change = {"price_id": price.public_id, "quantity": 10**6}
    for route in ("preview", "change-plan"):
        reply = client.post(f"/api/v1/subscriptions/{running.public_id}/{route}", change)
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/quantity")


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59Z", "9999-12-15T00:00:00+14:00", "2100-01-01T00:00:00Z"])
def test_refuses_a_start_beyond_all_planning(api, owner, customer, moment: str) -> None:
    price = factories.price(interval="year", interval_count=366)
    body = {"customer_id": customer.public_id, "items": [{"price_id": price.public_id}], "starts_at": moment}
    for route, key in (("", "k"), ("/preview", "p")):
        reply = api(owner).post(f"/api/v1/subscriptions{route}", body, headers={"Idempotency-Key": key})
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/starts_at")
