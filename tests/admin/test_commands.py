"""Commands as staff give them: reason, preview, confirmation, one service, one effect, and refusals that are kept."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from audit.models import Event
from billing.models import Payment, Price, Product, Refund, Subscription
from billing.services import payments, subscriptions
from core.actor import SYSTEM
from core.admin.html import admin_url
from core.models import AdminSubmission
from tests.admin.conftest import hidden_fields
from tests.billing import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(db: None) -> Subscription:
    return factories.subscription(factories.customer(), status="active")


@pytest.fixture
def paid() -> Payment:
    invoice = factories.invoice()
    return payments.create(actor=SYSTEM, invoice=invoice, operation_key=str(invoice.pk), now=factories.NOW)


def address(obj: object, name: str) -> str:
    return admin_url(obj).replace("/change/", f"/do/{name}/")  # type: ignore[arg-type]


def test_cancels_with_the_staff_member_as_actor_and_the_reason_in_the_log(running, give, staff: User):
    page = give(running, "cancel", when="now", reason="Moved abroad")
    running.refresh_from_db()
    assert (running.status, running.cancel_reason) == ("canceled", "Moved abroad")
    event = Event.objects.get(type="billing.subscription.canceled", subject_id=running.pk)
    assert (event.actor_type, event.actor_id) == ("staff", staff.pk)
    assert (event.context["source"], event.context["reason"]) == ("admin", "Moved abroad")
    shown = page.content.decode()
    assert "The subscription is cancelled." in shown
    assert "See the timeline" in shown


def test_previews_and_changes_nothing_before_it_is_confirmed(running, give):
    shown = give(running, "cancel", confirm=False, when="now", reason="Moved abroad").content.decode()
    assert "What will happen" in shown
    assert "Moved abroad" in shown
    running.refresh_from_db()
    assert running.status == "active"
    assert not Event.objects.filter(subject_id=running.pk).exists()


def test_offers_thousands_of_imported_prices_safely(running, desk: Client):
    product = factories.price().product
    product.name = "Fibre <b>"
    product.save()
    wanted = [factories.price(amount_minor=1000 + number, product=product, is_listed=False) for number in range(30)]
    shown = desk.get(address(running, "change-plan")).content.decode()
    assert "<b>" not in shown
    assert all(f'<option value="{price.pk}">Fibre &lt;b&gt;, {price}</option>' in shown for price in wanted)


def test_asks_for_a_reason(running, give):
    shown = give(running, "cancel", when="now", reason="").content.decode()
    assert "This field is required." in shown
    running.refresh_from_db()
    assert running.status == "active"


def test_goes_back_with_what_was_typed(running, desk: Client):
    where = address(running, "suspend")
    form = desk.get(where)
    preview = desk.post(where, {**hidden_fields(form), "reason": "Chargeback"})
    shown = desk.post(where, {**hidden_fields(preview), "back": "yes"}).content.decode()
    assert "Chargeback" in shown
    assert "Continue" in shown


@pytest.mark.parametrize(
    ("name", "status"),
    [("pause", "paused"), ("suspend", "active"), ("cancel", "active")],
)
def test_gives_the_commands_of_a_running_subscription(name, status, running, give):
    give(running, name, when="period_end", reason="Asked for")
    running.refresh_from_db()
    assert running.status == status
    assert running.access == ("suspended" if name == "suspend" else "granted")
    assert running.cancel_at_period_end == (name == "cancel")


def test_pauses_and_resumes(running, give):
    give(running, "pause", reason="Holiday")
    give(running, "resume", reason="Back")
    running.refresh_from_db()
    assert running.status == "active"


def test_suspends_and_lets_in_again(running, give):
    give(running, "suspend", reason="Chargeback")
    give(running, "unsuspend", reason="Settled")
    running.refresh_from_db()
    assert (running.access, running.suspended_at) == ("granted", None)


def test_takes_a_cancellation_back(running, give):
    give(running, "cancel", when="period_end", reason="Too dear")
    give(running, "undo-cancel", reason="Stays after all")
    running.refresh_from_db()
    assert not running.cancel_at_period_end


def test_reactivates_what_was_cancelled(running, give):
    give(running, "cancel", when="now", reason="Mistake")
    give(running, "reactivate", reason="It was a mistake")
    running.refresh_from_db()
    assert running.status == "incomplete"


def test_changes_the_plan_from_the_next_period_on(running, give):
    other = factories.price(amount_minor=4995)
    page = give(running, "change-plan", price=str(other.pk), quantity="1", reason="Moved to fibre")
    running.refresh_from_db()
    assert running.pending_price_id == other.pk
    assert "Plan change pending" in page.content.decode().replace("plan change", "Plan change")


def test_offers_only_prices_that_fit(running, desk: Client):
    euro = factories.price(currency="EUR")
    idle = factories.price(is_active=False)
    shown = desk.get(address(running, "change-plan")).content.decode()
    assert str(running.items.get().price_id) in shown
    assert str(euro.pk) not in shown
    assert str(idle.pk) not in shown


def test_offers_only_what_the_state_allows(desk: Client):
    ended = factories.subscription(
        factories.customer(), status="canceled", ended_at=factories.NOW, canceled_at=factories.NOW
    )
    shown = desk.get(admin_url(ended)).content.decode()
    assert address(ended, "reactivate") in shown
    assert address(ended, "cancel") not in shown
    assert desk.get(address(ended, "cancel")).status_code == 302


def test_shows_a_refusal_keeps_the_form_and_records_it(running, desk: Client, staff: User):
    where = address(running, "pause")
    preview = desk.post(where, {**hidden_fields(desk.get(where)), "reason": "Holiday"})
    subscriptions.cancel(actor=SYSTEM, subscription=running, now=factories.NOW, at_period_end=False, reason="Meanwhile")
    reply = desk.post(where, {**hidden_fields(preview), "confirm": "yes"})
    shown = reply.content.decode()
    assert reply.status_code == 409
    assert "is not possible while the status is" in shown
    assert "Holiday" in shown
    refusal = Event.objects.get(type="core.command.refused", subject_id=running.pk)
    assert (refusal.actor_type, refusal.actor_id) == ("staff", staff.pk)
    assert refusal.data["command"] == "billing.subscription.pause"
    assert not AdminSubmission.objects.exists()


def test_takes_effect_once_when_it_is_sent_twice(running, desk: Client):
    where = address(running, "suspend")
    preview = desk.post(where, {**hidden_fields(desk.get(where)), "reason": "Chargeback"})
    sent = {**hidden_fields(preview), "confirm": "yes"}
    desk.post(where, sent)
    again = desk.post(where, sent, follow=True)
    assert "took effect once" in again.content.decode()
    assert Event.objects.filter(type="billing.subscription.suspended").count() == 1
    assert not Event.objects.filter(type="core.command.refused").exists()


def test_refuses_who_is_no_staff(running, owner: User):
    client = Client()
    client.force_login(owner)
    assert client.post(address(running, "cancel"), {"when": "now", "reason": "x", "confirm": "yes"}).status_code == 302
    running.refresh_from_db()
    assert running.status == "active"


def test_knows_no_other_command(running, desk: Client):
    assert desk.get(address(running, "explode")).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_refunds_a_part_and_then_no_more_than_the_rest(paid, give, desk: Client):
    page = give(paid, "refund", amount="9.85", category="duplicate", reason="Paid twice")
    assert "$9.85 was given back." in page.content.decode()
    refund = Refund.objects.get(payment=paid)
    assert (refund.status, refund.amount_minor, refund.note) == ("succeeded", 985, "Paid twice")
    assert refund.operation_key.startswith("admin:")
    shown = give(paid, "refund", amount="25", category="duplicate", reason="More").content.decode()
    assert "at most $20.00" in shown
    assert Refund.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("amount", ["0", "-1", "abc", "1.234", "NaN"])
def test_refuses_what_is_no_amount(amount, paid, give):
    give(paid, "refund", amount=amount, category="duplicate", reason="Paid twice")
    assert not Refund.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_says_when_the_provider_declines_a_refund(give):
    invoice = factories.invoice(factories.customer(token="tok_refund_fails"))
    payment = payments.create(actor=SYSTEM, invoice=invoice, operation_key="one", now=factories.NOW)
    page = give(payment, "refund", amount="29.85", category="other", reason="Asked for")
    assert "The provider declined" in page.content.decode()
    assert Refund.objects.get().status == "failed"


@pytest.mark.django_db(transaction=True)
def test_collects_voids_and_writes_off_invoices(give):
    collected, voided, written_off = (factories.invoice() for _ in range(3))
    give(collected, "pay", method=str(collected.customer.default_payment_method_id), reason="On the phone")
    give(voided, "void", reason="Wrong customer")
    give(written_off, "mark-uncollectible", reason="Bankrupt")
    for invoice, status in ((collected, "paid"), (voided, "void"), (written_off, "uncollectible")):
        invoice.refresh_from_db()
        assert invoice.status == status


@pytest.mark.django_db(transaction=True)
def test_offers_no_refund_of_what_was_given_back(paid, give, desk: Client):
    give(paid, "refund", amount="29.85", category="other", reason="All of it")
    assert address(paid, "refund") not in desk.get(admin_url(paid)).content.decode()


@pytest.mark.django_db(transaction=True)
def test_shows_who_did_what_on_the_customers_timeline(paid, give, desk: Client, staff: User):
    running = Subscription.objects.get(customer=paid.customer)
    other: Price = factories.price(amount_minor=4995)
    running = factories.subscription(paid.customer, status="active")
    give(running, "change-plan", price=str(other.pk), quantity="1", reason="Moved to fibre")
    give(paid, "refund", amount="29.85", category="other", reason="Outage in March")
    shown = desk.get(admin_url(paid.customer)).content.decode()
    for words in ("Moved to fibre", "Outage in March", "Money was given back.", f"{staff.email} (staff)"):
        assert words in shown
    whole = desk.get(reverse("admin:billing_customer_history", args=[paid.customer.pk])).content.decode()
    assert "Outage in March" in whole


@pytest.mark.parametrize("token", ["", "x" * 5000, "a\x00b", "<script>"])
def test_takes_no_token_that_it_did_not_make(token: str, running, desk: Client) -> None:
    form = {"reason": "On request.", "confirm": "1", "token": token}
    assert desk.post(address(running, "pause"), form).status_code == 302
    kept = AdminSubmission.objects.get().key
    assert token == "" or token not in kept


def test_makes_a_product_and_its_price(desk, give):
    address = reverse("admin:billing_product_new")
    assert address in desk.get(reverse("admin:billing_product_changelist")).content.decode()
    preview = desk.post(address, {"name": "Fibre", "description": "", "reason": "New in the shop"})
    assert "none yet: add one next" in preview.content.decode()
    confirmed = {**hidden_fields(preview), "name": "Fibre", "reason": "New in the shop", "confirm": "yes"}
    for _ in range(2):
        assert desk.post(address, confirmed).status_code == 302
    product = Product.objects.get(name="Fibre")
    answers = {"currency": "eur", "interval": "month", "interval_count": "3", "trial_days": "14", "reason": "Launch"}
    assert "more decimals" in give(product, "add-price", amount="29.855", **answers).content.decode()
    preview = give(product, "add-price", amount="29.85", confirm=False, **answers)
    assert "every 3 months" in preview.content.decode()
    give(product, "add-price", amount="29.85", is_listed="on", **answers)
    price = Price.objects.get(product=product)
    assert (price.amount_minor, price.currency, price.rhythm) == (2985, "EUR", "every 3 months")
    assert (price.trial_days, price.is_listed, price.lookup_key) == (14, True, None)
    event = Event.objects.get(subject_id=price.pk, type="billing.price.created")
    assert event.context["reason"] == "Launch"


def test_lets_nobody_make_a_product_who_is_not_staff(owner):
    browser = Client()
    browser.force_login(owner)
    assert browser.post(reverse("admin:billing_product_new"), {"name": "Fibre", "confirm": "yes"}).status_code == 302
    assert not Product.objects.exists()
