from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from billing import money_states
from billing.errors import PeriodAlreadyInvoiced
from billing.models import Invoice, InvoiceLine, InvoiceReason
from billing.periods import Period
from billing.selectors import ledger as books
from billing.services import invoices
from core.actor import ANONYMOUS, SYSTEM
from core.errors import AppError, InvalidTransition
from tests.billing import factories
from tests.billing.factories import NOW

pytestmark = pytest.mark.django_db


def test_bills_each_item_for_the_period_and_gives_a_number() -> None:
    entity = factories.entity(invoice_prefix="EX")
    owner = factories.customer(billing_entity=entity)
    running = factories.subscription(owner, factories.price(amount_minor=1000), factories.price(amount_minor=250))
    running.items.filter(price__amount_minor=250).update(quantity=3)
    invoice = factories.invoice(owner, running=running)
    assert (invoice.number, invoice.status, invoice.total_minor) == ("EX-000001", "open", 1750)
    assert [(line.quantity, line.amount_minor, line.position) for line in invoice.lines.all()] == [
        (1, 1000, 0),
        (3, 750, 1),
    ]
    assert books.receivable(owner, "USD").minor == 1750


def test_counts_each_billing_entity_for_itself() -> None:
    one, two = factories.entity(invoice_prefix="ONE"), factories.entity(invoice_prefix="TWO")
    numbers = [factories.invoice(factories.customer(billing_entity=each)).number for each in (one, two, one)]
    assert numbers == ["ONE-000001", "TWO-000001", "ONE-000002"]


def test_bills_a_period_once_whatever_the_number_of_items() -> None:
    owner = factories.customer()
    running = factories.subscription(owner, factories.price(), factories.price())
    factories.invoice(owner, running=running)
    with pytest.raises(PeriodAlreadyInvoiced), transaction.atomic():
        factories.invoice(owner, running=running)
    assert Invoice.objects.filter(customer=owner).count() == 1


def test_is_paid_at_once_when_there_is_nothing_to_pay() -> None:
    invoice = factories.invoice(amount_minor=0)
    assert (invoice.status, invoice.number is not None) == ("paid", True)
    assert list(books.findings()) == []


def test_is_collected_by_a_job_but_for_the_first_one_and_transfers() -> None:
    from core.models import Job

    factories.invoice(reason=InvoiceReason.SUBSCRIPTION_CREATE)
    assert not Job.objects.exists()
    owner = factories.customer()
    manual = factories.subscription(owner, collection="manual")
    factories.invoice(owner, running=manual, reason=InvoiceReason.SUBSCRIPTION_CYCLE)
    assert not Job.objects.exists()
    invoice = factories.invoice(reason=InvoiceReason.SUBSCRIPTION_CYCLE)
    assert [job.payload["invoice_id"] for job in Job.objects.all()] == [str(invoice.pk)]


def test_reverses_the_books_when_voided_and_keeps_the_number() -> None:
    invoice = factories.invoice()
    voided = invoices.void(actor=SYSTEM, invoice=invoice, reason="wrong", now=NOW)
    assert (voided.status, voided.number, voided.amount_due_minor) == ("void", invoice.number, 0)
    assert {row.balance_minor for row in books.trial_balance(invoice.billing_entity)} == {0}
    with pytest.raises(InvalidTransition):
        invoices.void(actor=SYSTEM, invoice=invoice, reason="again", now=NOW)
    assert list(books.findings()) == []


@pytest.mark.parametrize("verb", [invoices.void, invoices.mark_uncollectible])
def test_is_voided_and_written_off_by_staff_only(verb: object) -> None:
    with pytest.raises(AppError):
        verb(actor=ANONYMOUS, invoice=factories.invoice(), reason="no", now=NOW)


@pytest.mark.parametrize(
    "change",
    ["total_minor = 1", "number = 'X-1'", "currency = 'EUR'", "finalized_at = now()", "sequence = 77"],
)
def test_refuses_to_change_what_a_finalised_invoice_says(change: str) -> None:
    invoice = factories.invoice()
    with pytest.raises(IntegrityError, match="are final"), connection.cursor() as cursor:
        cursor.execute(f"UPDATE billing_invoice SET {change} WHERE id = %s", [invoice.pk])


@pytest.mark.parametrize(
    "statement", ["UPDATE billing_invoiceline SET amount_minor = 1", "DELETE FROM billing_invoiceline"]
)
def test_refuses_to_change_the_lines_of_a_finalised_invoice(statement: str) -> None:
    factories.invoice()
    with pytest.raises(IntegrityError, match="lines are final"), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("machine", [money_states.INVOICE, money_states.PAYMENT, money_states.REFUND])
def test_has_the_trigger_that_the_table_of_states_describes(machine: money_states.Machine) -> None:
    """The migration wrote the tables out; when a table changes, a migration must follow."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = %s", [f"{machine.table}_status_guard"])
        (source,) = cursor.fetchone()
    assert source.strip() in machine.trigger_sql()


@pytest.mark.parametrize(("old", "new"), [("open", "draft"), ("void", "open"), ("paid", "open"), ("draft", "paid")])
def test_refuses_in_the_database_a_status_that_no_command_makes(old: str, new: str) -> None:
    pair = (old, new)
    assert pair not in money_states.INVOICE.pairs()
    invoice = factories.invoice(amount_minor=0 if old == "paid" else 2985)
    if old == "void":
        invoices.void(actor=SYSTEM, invoice=invoice, reason="x", now=NOW)
    if old == "draft":
        invoice = Invoice.objects.create(
            billing_entity=invoice.billing_entity, customer=invoice.customer, currency="USD", total_minor=0
        )
    with pytest.raises(DatabaseError, match="no command leads"), transaction.atomic():
        Invoice.objects.filter(pk=invoice.pk).update(status=new)


def test_does_not_bill_two_periods_that_begin_together_by_two_prices_of_one_position() -> None:
    invoice = factories.invoice()
    line = invoice.lines.get()
    other = factories.invoice()
    with pytest.raises(IntegrityError, match="billing_period_invoiced_once"), transaction.atomic():
        InvoiceLine.objects.create(
            invoice=other,
            subscription=line.subscription,
            description="again",
            currency="USD",
            unit_amount_minor=1,
            amount_minor=1,
            period_start=line.period_start,
            period_end=line.period_end + timedelta(days=1),
        )
    assert Period(line.period_start, line.period_end)
