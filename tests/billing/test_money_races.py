"""What happens at once: threads, real commits, real locks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import connection, connections, transaction

from audit.models import Event
from billing.errors import AmountTooLarge
from billing.models import Invoice, LedgerEntry, LedgerLeg, Payment, Refund
from billing.providers.local import APPLICATION_NAME
from billing.selectors import ledger as books
from billing.services import invoices, payments, refunds, renewals
from core import jobs
from core.actor import SYSTEM
from core.errors import AppError, RequestInProgress
from core.models import Job
from core.money import Money
from tests.billing import factories
from tests.billing.factories import NOW

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run `work` in `count` threads that start together; return results and raised errors."""
    gate = threading.Barrier(count)

    def run(number: int) -> Any:
        try:
            gate.wait(30)
            return work(number)
        except (AppError, psycopg.Error, RuntimeError) as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def sandbox_rows(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


def test_makes_one_charge_one_set_of_legs_and_one_event_of_fifty_payments_with_one_key() -> None:
    invoice = factories.invoice()

    def pay(_: int) -> Payment:
        return payments.create(actor=SYSTEM, invoice=invoice, operation_key="one", now=NOW)

    results = at_once(50, pay)
    paid = [result for result in results if isinstance(result, Payment)]
    assert {payment.pk for payment in paid} == {Payment.objects.get().pk}
    assert {type(result) for result in results} <= {Payment, RequestInProgress}
    assert sandbox_rows("sandbox_charges") == 1
    payment = paid[0]
    assert LedgerEntry.objects.filter(source_id=payment.pk).count() == 1
    assert LedgerLeg.objects.filter(entry__source_id=payment.pk).count() == 2
    assert list(Event.objects.filter(subject_id=payment.pk).values_list("type", flat=True)) == [
        "billing.payment.succeeded"
    ]
    assert list(books.findings()) == []


def test_takes_one_of_many_payments_with_different_keys_for_one_invoice() -> None:
    invoice = factories.invoice()
    results = at_once(8, lambda n: payments.create(actor=SYSTEM, invoice=invoice, operation_key=f"key-{n}", now=NOW))
    assert sum(isinstance(result, Payment) for result in results) == 1
    assert sandbox_rows("sandbox_charges") == 1
    assert list(books.findings()) == []


def test_never_gives_back_more_than_was_paid_when_refunds_race() -> None:
    payment = payments.create(actor=SYSTEM, invoice=factories.invoice(), operation_key="one", now=NOW)

    def give_back(number: int) -> Refund:
        return refunds.create(
            actor=SYSTEM, payment=payment, operation_key=f"r{number}", now=NOW, money=Money(1000, "USD")
        )

    results = at_once(8, give_back)
    assert sum(isinstance(result, Refund) for result in results) == 2
    assert sum(isinstance(result, AmountTooLarge) for result in results) == 6
    payment.refresh_from_db()
    assert payment.refunded_minor == 2000
    assert sandbox_rows("sandbox_refunds") == 2
    assert list(books.findings()) == []


def test_makes_one_invoice_when_workers_race_for_one_renewal() -> None:
    running = factories.subscription(factories.customer())
    end = running.current_period_end

    results = at_once(6, lambda _: renewals.renew(actor=SYSTEM, subscription=running, period_end=end, now=NOW))
    assert sum(isinstance(result, Invoice) for result in results) == 1
    assert sum(result is None for result in results) == 5
    assert Invoice.objects.count() == 1


def test_enqueues_a_renewal_once_when_two_schedulers_race() -> None:
    for _ in range(3):
        factories.subscription(factories.customer())
    made = at_once(4, lambda _: renewals.enqueue_due(actor=SYSTEM, now=NOW))
    assert sum(made) == 3
    assert Job.objects.filter(kind="billing.renew_subscription").count() == 3


def test_runs_a_renewal_once_when_two_workers_take_its_job() -> None:
    factories.subscription(factories.customer())
    renewals.enqueue_due(actor=SYSTEM, now=NOW)
    job = Job.objects.get()
    at_once(4, lambda _: jobs.run_inline(job.pk))
    assert Invoice.objects.count() == 1


def test_leaves_no_gap_in_the_numbers_of_eight_writers_who_roll_back_now_and_then() -> None:
    entity = factories.entity(invoice_prefix="GAP")
    owners = [factories.customer(billing_entity=entity) for _ in range(8)]
    subscriptions = [[factories.subscription(owner) for _ in range(6)] for owner in owners]

    def write(number: int) -> None:
        for turn, running in enumerate(subscriptions[number]):
            try:
                with transaction.atomic():
                    factories.invoice(owners[number], running=running)
                    if (number + turn) % 3 == 0:
                        raise RuntimeError("rolled back after the number was given")
            except RuntimeError:
                continue

    assert at_once(8, write) == [None] * 8
    sequences = sorted(Invoice.objects.values_list("sequence", flat=True))
    assert sequences == list(range(1, 33))
    assert sorted(Invoice.objects.values_list("number", flat=True))[-1] == "GAP-000032"
    assert list(books.findings()) == []


def test_lets_a_void_and_a_payment_of_one_invoice_end_in_one_of_both() -> None:
    invoice = factories.invoice()

    def work(number: int) -> Any:
        if number % 2:
            return invoices.void(actor=SYSTEM, invoice=invoice, reason="race", now=NOW)
        return payments.create(actor=SYSTEM, invoice=invoice, operation_key="one", now=NOW)

    at_once(2, work)
    invoice.refresh_from_db()
    assert (invoice.status, sandbox_rows("sandbox_charges")) in [("void", 0), ("paid", 1)]
    assert list(books.findings()) == []


def test_asks_what_became_of_a_charge_whose_line_broke() -> None:
    """The line breaks before the charge is made: it is asked for, and then made under the same key."""
    invoice = factories.invoice(factories.customer(token="tok_slow"))
    is_broken = threading.Event()

    def break_the_line() -> None:
        deadline = time.monotonic() + 10
        while not is_broken.is_set() and time.monotonic() < deadline:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s",
                    [APPLICATION_NAME],
                )
                if cursor.fetchone()[0]:
                    is_broken.set()
            time.sleep(0.05)
        connection.close()

    breaker = threading.Thread(target=break_the_line)
    breaker.start()
    payment = payments.create(actor=SYSTEM, invoice=invoice, operation_key="broken", now=NOW)
    breaker.join()
    assert is_broken.is_set()
    assert payment.status == "unknown"
    Payment.objects.filter(pk=payment.pk).update(lease_until=None)
    payment = payments.settle(actor=SYSTEM, payment=payment, now=NOW)
    assert payment.status == "succeeded"
    assert LedgerEntry.objects.filter(source_id=payment.pk).count() == 1
