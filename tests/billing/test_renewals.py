from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import Event
from billing.models import Customer, Invoice, InvoiceReason, Payment, Subscription
from billing.periods import Cadence
from billing.selectors import ledger as books
from billing.services import lifecycle, payments, renewals, subscriptions
from billing.services.beginnings import Line
from core import jobs
from core.actor import ANONYMOUS, SYSTEM
from core.errors import Forbidden
from core.models import Job
from tests.billing import factories
from tests.billing.factories import NOW

pytestmark = pytest.mark.django_db


def renew_all(now: datetime = NOW) -> int:
    made = renewals.enqueue_due(actor=SYSTEM, now=now)
    jobs.drain()
    assert not Job.objects.exclude(state="succeeded").exists()
    return made


def told(subject: object) -> list[str]:
    return list(Event.objects.filter(subject_id=subject.pk).order_by("id").values_list("type", flat=True))


def test_renews_bills_and_collects_what_is_due() -> None:
    running = factories.subscription(factories.customer())
    assert renew_all() == 1
    running.refresh_from_db()
    invoice = Invoice.objects.get()
    line = invoice.lines.get()
    assert (invoice.status, invoice.reason, invoice.total_minor) == ("paid", "subscription_cycle", 2985)
    assert (line.period_start, line.period_end) == (running.current_period_start, running.current_period_end)
    assert running.current_period_start <= NOW < running.current_period_end
    assert told(running) == ["billing.subscription.renewed"]
    assert list(books.findings()) == []


def test_does_nothing_the_second_time() -> None:
    factories.subscription(factories.customer())
    assert [renew_all(), renew_all()] == [1, 0]
    assert Invoice.objects.count() == Payment.objects.count() == 1


def test_leaves_what_is_not_due() -> None:
    factories.subscription(factories.customer(), start=NOW)
    for status in ("paused", "unpaid", "incomplete"):
        factories.subscription(factories.customer(), status=status)
    assert renew_all() == 0


def test_bills_each_missed_period_once_and_in_order() -> None:
    anchor = datetime(2025, 12, 31, 9, tzinfo=UTC)
    running = factories.subscription(factories.customer(), start=anchor)
    assert renew_all(datetime(2026, 4, 1, tzinfo=UTC)) == 1
    starts = [invoice.lines.get().period_start for invoice in Invoice.objects.order_by("sequence")]
    cadence = Cadence("month", 1)
    assert starts == [cadence.boundary(anchor, number) for number in (1, 2, 3)]
    assert [start.day for start in starts] == [31, 28, 31]
    running.refresh_from_db()
    assert running.current_period_end == datetime(2026, 4, 30, 9, tzinfo=UTC)


def test_turns_past_due_when_the_payment_fails_and_active_when_it_comes_in() -> None:
    owner = factories.customer(token="tok_insufficient_funds")
    running = factories.subscription(owner)
    renew_all()
    running.refresh_from_db()
    invoice = Invoice.objects.get()
    assert (running.status, invoice.status, invoice.last_failure_code) == ("past_due", "open", "insufficient_funds")
    method = factories.method(owner, "tok_success")
    payments.create(actor=SYSTEM, invoice=invoice, payment_method=method, operation_key="again", now=NOW)
    running.refresh_from_db()
    assert running.status == "active"
    assert told(running)[1:] == ["billing.subscription.became_past_due", "billing.subscription.activated"]


def test_stays_past_due_until_every_failed_invoice_is_paid() -> None:
    owner = factories.customer(token="tok_card_declined")
    running = factories.subscription(owner, start=NOW - timedelta(days=60))
    renew_all()
    first, second = Invoice.objects.order_by("sequence")
    good = factories.method(owner, "tok_success")
    payments.create(actor=SYSTEM, invoice=first, payment_method=good, operation_key="1", now=NOW)
    running.refresh_from_db()
    assert running.status == "past_due"
    payments.create(actor=SYSTEM, invoice=second, payment_method=good, operation_key="2", now=NOW)
    running.refresh_from_db()
    assert running.status == "active"


def test_notes_that_there_is_no_payment_method() -> None:
    running = factories.subscription(factories.customer(token=None))
    renew_all()
    running.refresh_from_db()
    invoice = Invoice.objects.get()
    assert (running.status, invoice.last_failure_code) == ("past_due", "no_payment_method")
    assert not Payment.objects.exists()


def reactivated(owner: Customer, **values: Any) -> Subscription:
    """One that was cancelled with a debt of 2985 and runs again, with an invoice over the same."""
    running = factories.subscription(owner, **values)
    factories.invoice(owner, running=running)
    subscriptions.cancel(actor=SYSTEM, subscription=running, at_period_end=False, now=NOW)
    return subscriptions.reactivate(actor=SYSTEM, subscription=running, now=NOW)


def test_lets_what_is_reactivated_run_once_it_is_paid() -> None:
    running = reactivated(factories.customer())
    assert running.status == "incomplete"
    old, first = Invoice.objects.order_by("sequence")
    payments.create(actor=SYSTEM, invoice=old, operation_key="old", now=NOW)
    running.refresh_from_db()
    assert running.status == "incomplete", "an old debt is not the first payment"
    jobs.drain()
    running.refresh_from_db()
    first.refresh_from_db()
    assert (running.status, first.status) == ("active", "paid")


def test_lets_what_is_reactivated_free_of_charge_run_at_once() -> None:
    owner = factories.customer()
    running = factories.subscription(owner, factories.price(amount_minor=0))
    subscriptions.cancel(actor=SYSTEM, subscription=running, at_period_end=False, now=NOW)
    assert subscriptions.reactivate(actor=SYSTEM, subscription=running, now=NOW).status == "active"


def test_gives_up_on_what_was_reactivated_and_not_paid() -> None:
    running = reactivated(factories.customer(token="tok_card_declined"))
    jobs.drain()
    running.refresh_from_db()
    assert running.status == "incomplete"
    renewals.enqueue_starts_and_expiries(now=NOW + timedelta(hours=23))
    renewals.enqueue_starts_and_expiries(now=NOW + timedelta(hours=24))
    jobs.drain()
    running.refresh_from_db()
    assert running.status == "incomplete_expired"
    old, first = Invoice.objects.order_by("sequence")
    assert (old.status, first.status) == ("open", "void")


def test_renews_later_what_did_not_run_when_its_job_came() -> None:
    running = factories.subscription(factories.customer(), status="past_due")
    assert renewals.enqueue_due(actor=SYSTEM, now=NOW) == 1
    lifecycle.mark_unpaid(actor=SYSTEM, subscription=running, now=NOW)
    jobs.drain()
    assert not Invoice.objects.exists()
    assert renewals.enqueue_due(actor=SYSTEM, now=NOW) == 0
    lifecycle.activate(actor=SYSTEM, subscription=running, now=NOW)
    assert [renew_all(), renew_all()] == [1, 0]
    assert Invoice.objects.get().status == "paid"


def test_bills_a_trial_that_is_over() -> None:
    running = factories.subscription(factories.customer(), status="trialing")
    renew_all()
    running.refresh_from_db()
    assert (running.status, Invoice.objects.get().status) == ("active", "paid")


def test_ends_with_the_period_what_was_cancelled_and_bills_nothing() -> None:
    running = factories.subscription(factories.customer())
    end = running.current_period_end
    subscriptions.cancel(actor=SYSTEM, subscription=running, now=NOW - timedelta(days=9), reason="moved")
    renew_all()
    running.refresh_from_db()
    assert (running.status, running.ended_at) == ("canceled", end)
    assert not Invoice.objects.exists()


def test_bills_the_price_that_was_chosen_for_the_next_period() -> None:
    running = factories.subscription(factories.customer())
    better = factories.price(amount_minor=9900)
    subscriptions.change_plan(actor=SYSTEM, subscription=running, price=better, now=NOW - timedelta(days=3))
    renew_all()
    assert Invoice.objects.get().total_minor == 9900


def test_starts_a_scheduled_subscription_and_bills_it() -> None:
    owner = factories.customer()
    running = factories.subscription(owner, status="scheduled", start=NOW - timedelta(hours=1))
    assert renewals.enqueue_starts_and_expiries(now=NOW) == 1
    jobs.drain()
    running.refresh_from_db()
    invoice = Invoice.objects.get()
    assert (running.status, invoice.status, invoice.reason) == ("incomplete", "open", "subscription_create")


def test_gives_up_on_a_first_payment_that_never_came() -> None:
    owner = factories.customer()
    price = factories.price()
    made = subscriptions.create(actor=SYSTEM, customer=owner, lines=[Line(price)], now=NOW)
    invoice = Invoice.objects.get()
    assert (made.status, invoice.reason, invoice.status) == ("incomplete", InvoiceReason.SUBSCRIPTION_CREATE, "open")
    early, late = (made.current_period_start + timedelta(hours=hours) for hours in (23, 25))
    assert renewals.enqueue_starts_and_expiries(now=early) == 0
    assert renewals.enqueue_starts_and_expiries(now=late) == 1
    jobs.drain()
    made.refresh_from_db()
    invoice.refresh_from_db()
    assert (made.status, invoice.status) == ("incomplete_expired", "void")


def test_is_active_after_the_first_invoice_is_paid() -> None:
    owner, price = factories.customer(), factories.price()
    made = subscriptions.create(actor=SYSTEM, customer=owner, lines=[Line(price)], now=NOW)
    payments.create(actor=SYSTEM, invoice=Invoice.objects.get(), operation_key="first", now=NOW)
    made.refresh_from_db()
    assert made.status == "active"


def test_is_run_by_staff_and_the_product_only() -> None:
    with pytest.raises(Forbidden):
        renewals.enqueue_due(actor=ANONYMOUS, now=NOW)


def test_asks_the_database_a_known_number_of_times_for_each_renewal() -> None:
    """Thousands run in one night: whoever adds a query here should mean it."""
    owner = factories.customer()
    for _ in range(2):
        factories.subscription(owner, factories.price())
    renewals.enqueue_due(actor=SYSTEM, now=NOW)
    first, second = Job.objects.order_by("id").values_list("pk", flat=True)
    jobs.run_inline(first)
    with CaptureQueriesContext(connection) as renewal:
        jobs.run_inline(second)
    first, second = Job.objects.filter(state="queued").order_by("id").values_list("pk", flat=True)
    jobs.run_inline(first)
    with CaptureQueriesContext(connection) as collection:
        jobs.run_inline(second)
    assert (len(renewal) <= 26, len(collection) <= 28) == (True, True), (len(renewal), len(collection))


def test_is_ordered_by_a_command_that_tells_what_it_did(capsys, db):
    call_command("renew", "--now", "2026-04-01T00:00:00Z", "--dry-run")
    call_command("renew", "--now", "2026-04-01T00:00:00Z")
    assert capsys.readouterr().out.splitlines() == [
        "0 subscriptions are due at 2026-04-01 00:00 UTC; nothing was written",
        "0 renewals enqueued as of 2026-04-01 00:00 UTC",
    ]
