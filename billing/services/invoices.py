"""Invoices: issue, finalise, void, write off. Payment of them stands in `payments`.

Locks are taken in this order everywhere: customer, subscription, invoice, payment, refund, and last the counter of
invoice numbers, which all renewals share: after it comes nothing that could take long.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, connection

from billing import events
from billing.errors import InvoicePartlyPaid, PaymentInProgress, PeriodAlreadyInvoiced
from billing.models import (
    AccountCode,
    BillingEntity,
    EntryType,
    Invoice,
    InvoiceLine,
    InvoiceReason,
    LineKind,
    Subscription,
    SubscriptionItem,
)
from billing.money_states import IN_FLIGHT, INVOICE, InvoiceStatus
from billing.periods import Period
from billing.permissions import INVOICE_FINALIZE, INVOICE_VOID, INVOICE_WRITE_OFF
from billing.services import ledger
from billing.services.changes import Watch
from billing.services.ledger import Leg
from billing.states import Collection
from core import jobs
from core.access import require
from core.actor import SYSTEM, Actor
from core.commands import command
from core.events import EventType, record
from core.money import Money, total

_WATCHED = ("status", "number", "amount_paid_minor", "paid_at", "voided_at", "uncollectible_at", "last_failure_code")
_DIGITS = 6
_NEXT_SEQUENCE = """
INSERT INTO billing_invoicecounter AS counter (billing_entity_id, last_sequence) VALUES (%s, 1)
ON CONFLICT (billing_entity_id) DO UPDATE SET last_sequence = counter.last_sequence + 1 RETURNING last_sequence
"""


@command("billing.invoice.issue_for_period")
def issue_for_period(
    *, actor: Actor, subscription: Subscription, period: Period, reason: InvoiceReason, now: datetime
) -> Invoice:
    """Bill one period of a subscription (which the caller has locked): an invoice with a line for each item, finalised.

    What is due is collected by a job when the subscription collects by itself; only the first invoice waits for the
    customer to pay it. Raises PeriodAlreadyInvoiced: the database holds one invoice for (subscription, period).
    Event: `billing.invoice.finalized` (nothing to pay: `.paid` too).
    """
    customer = subscription.customer
    items = list(subscription.items.select_related("price__product"))
    lines = [_line(subscription, item, position, period) for position, item in enumerate(items)]
    invoice = Invoice(
        billing_entity_id=customer.billing_entity_id,
        customer=customer,
        reason=reason,
        collection=subscription.collection,
        currency=subscription.currency,
        total_minor=total((Money(line.amount_minor, line.currency) for line in lines), subscription.currency).minor,
        due_at=now,
    )
    invoice.save(force_insert=True)
    for line in lines:
        line.invoice = invoice
    try:
        InvoiceLine.objects.bulk_create(lines)
    except IntegrityError as fault:
        if "billing_period_invoiced_once" in str(fault):
            raise PeriodAlreadyInvoiced(
                f"The subscription {subscription.public_id} is billed for the period from {period.start:%Y-%m-%d}."
            ) from fault
        raise
    is_collected = reason != InvoiceReason.SUBSCRIPTION_CREATE and invoice.collection == Collection.AUTOMATIC
    if is_collected and invoice.total_minor:
        enqueue_collection(invoice, attempt=1, now=now)
    return _finalize(actor=actor, invoice=invoice, entity=customer.billing_entity, lines=lines, now=now)


def enqueue_collection(invoice: Invoice, *, attempt: int, now: datetime) -> None:
    """Have the invoice charged to the customer's payment method, by a job. The payment's operation key makes each
    attempt happen once, so the job needs no key of its own."""
    jobs.enqueue(
        "billing.collect_invoice",
        {"invoice_id": str(invoice.pk), "attempt": attempt, "now": now.isoformat()},
        actor=SYSTEM,
        organization_id=invoice.customer.organization_id,
    )


@command("billing.invoice.finalize")
def finalize(*, actor: Actor, invoice: Invoice, now: datetime) -> Invoice:
    """Give a draft its number and post what it demands. Event: `billing.invoice.finalized`."""
    require(actor, INVOICE_FINALIZE.name, invoice)
    invoice = invoice.refreshed_for_update()
    lines = list(invoice.lines.all())
    return _finalize(actor=actor, invoice=invoice, entity=invoice.billing_entity, lines=lines, now=now)


def _finalize(
    *, actor: Actor, invoice: Invoice, entity: BillingEntity, lines: list[InvoiceLine], now: datetime
) -> Invoice:
    watch = Watch(invoice, *_WATCHED)
    invoice.status = INVOICE.target(invoice, "finalize")
    if invoice.total_minor:
        _post(EntryType.INVOICE_FINALIZED, invoice, AccountCode.RECEIVABLE, AccountCode.REVENUE, now)
    invoice.finalized_at = now
    # The counter comes last: until the commit nobody else gets a number.
    invoice.sequence = next_sequence(entity.pk)
    invoice.number = f"{entity.invoice_prefix}-{invoice.sequence:0{_DIGITS}d}"
    invoice.save(update_fields=["status", "sequence", "number", "finalized_at"])
    data = {
        "customer_id": invoice.customer_id,
        "total_minor": invoice.total_minor,
        "currency": invoice.currency,
        "subscription_ids": sorted({str(line.subscription_id) for line in lines if line.subscription_id}),
    }
    _record(events.INVOICE_FINALIZED, actor, invoice, watch, now, data)
    if invoice.total_minor == 0:
        mark_paid(actor=actor, invoice=invoice, money=invoice.total, now=now)
    return invoice


def next_sequence(billing_entity_id: UUID) -> int:
    """Return the next invoice number of a billing entity, locking its counter until the transaction ends: numbers rise
    without a gap, since a rollback gives the number back."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_SEQUENCE, [billing_entity_id])
        return int(cursor.fetchone()[0])


def mark_paid(*, actor: Actor, invoice: Invoice, money: Money, now: datetime) -> None:
    """Count `money` as paid on a locked invoice; whoever settles the payment posts it.

    Events: `billing.invoice.paid` when nothing is left, else `.partly_paid`.
    """
    watch = Watch(invoice, *_WATCHED)
    invoice.amount_paid_minor += money.minor
    event = events.INVOICE_PARTLY_PAID
    if invoice.amount_paid_minor == invoice.total_minor:
        invoice.status = INVOICE.target(invoice, "pay")
        invoice.paid_at = now
        event = events.INVOICE_PAID
    invoice.last_failure_code = ""
    invoice.save(update_fields=watch.fields)
    _record(event, actor, invoice, watch, now)


@command("billing.invoice.void")
def void(*, actor: Actor, invoice: Invoice, reason: str, now: datetime) -> Invoice:
    """Take an invoice back as if it had never been owed; its number stays. Staff only.

    Raises InvalidTransition, InvoicePartlyPaid, PaymentInProgress. Event: `billing.invoice.voided`.
    """
    require(actor, INVOICE_VOID.name, invoice)
    invoice = invoice.refreshed_for_update()
    watch = Watch(invoice, *_WATCHED)
    was = invoice.status
    invoice.status = INVOICE.target(invoice, "void")
    _refuse_money_on_the_way(invoice)
    if invoice.amount_paid_minor:
        raise InvoicePartlyPaid("A part of the invoice is paid: refund it, then write off the rest.")
    if was != InvoiceStatus.DRAFT and invoice.total_minor:
        credited = AccountCode.BAD_DEBT if was == InvoiceStatus.UNCOLLECTIBLE else AccountCode.RECEIVABLE
        _post(EntryType.INVOICE_VOIDED, invoice, AccountCode.REVENUE, credited, now)
    invoice.voided_at = now
    invoice.save(update_fields=watch.fields)
    _record(events.INVOICE_VOIDED, actor, invoice, watch, now, {"reason": reason})
    return invoice


def void_unpaid(*, subscription: Subscription, reason: str, now: datetime) -> None:
    """Void the open invoice of a subscription's first period, unless a part of it was paid: a step of the command that
    ends it before its first payment (what it owed before it was reactivated stays owed). Raises PaymentInProgress.
    Events: `billing.invoice.voided`."""
    unpaid = Invoice.objects.filter(
        lines__subscription=subscription,
        lines__period_start=subscription.current_period_start,
        status=InvoiceStatus.OPEN,
        amount_paid_minor=0,
    )
    for invoice in unpaid.distinct():
        void(actor=SYSTEM, invoice=invoice, reason=reason, now=now)


@command("billing.invoice.mark_uncollectible")
def mark_uncollectible(*, actor: Actor, invoice: Invoice, reason: str, now: datetime) -> Invoice:
    """Give up collecting: what is still due becomes bad debt. It can still be paid. Staff only.

    Raises InvalidTransition, PaymentInProgress. Event: `billing.invoice.written_off`.
    """
    require(actor, INVOICE_WRITE_OFF.name, invoice)
    invoice = invoice.refreshed_for_update()
    watch = Watch(invoice, *_WATCHED)
    invoice.status = INVOICE.target(invoice, "mark_uncollectible")
    _refuse_money_on_the_way(invoice)
    due = Money(invoice.amount_due_minor, invoice.currency)
    _post(EntryType.INVOICE_WRITTEN_OFF, invoice, AccountCode.BAD_DEBT, AccountCode.RECEIVABLE, now, due)
    invoice.uncollectible_at = now
    invoice.save(update_fields=watch.fields)
    _record(events.INVOICE_WRITTEN_OFF, actor, invoice, watch, now, {"reason": reason, "amount_minor": due.minor})
    return invoice


def note_failure(*, actor: Actor, invoice: Invoice, code: str, now: datetime) -> None:
    """Note on a locked invoice that an attempt to collect it failed. Event: `billing.invoice.collection_failed`."""
    watch = Watch(invoice, *_WATCHED)
    invoice.attempt_count += 1
    invoice.last_failure_code = code
    invoice.save(update_fields=["attempt_count", "last_failure_code"])
    data = {"failure_code": code, "attempt": invoice.attempt_count}
    _record(events.INVOICE_COLLECTION_FAILED, actor, invoice, watch, now, data)


def is_payment_in_flight(invoice: Invoice) -> bool:
    """Whether a payment of the invoice waits for the provider's answer."""
    return invoice.allocations.filter(payment__status__in=IN_FLIGHT).exists()


def _refuse_money_on_the_way(invoice: Invoice) -> None:
    if is_payment_in_flight(invoice):
        raise PaymentInProgress("A payment of the invoice waits for the provider's answer.")


def _line(subscription: Subscription, item: SubscriptionItem, position: int, period: Period) -> InvoiceLine:
    price = item.price
    return InvoiceLine(
        kind=LineKind.RECURRING,
        subscription=subscription,
        price=price,
        position=position,
        description=price.product.name,
        quantity=item.quantity,
        unit_amount_minor=price.amount_minor,
        amount_minor=price.money.times(item.quantity).minor,
        currency=price.currency,
        period_start=period.start,
        period_end=period.end,
    )


def _post(
    entry_type: EntryType,
    invoice: Invoice,
    debit: AccountCode,
    credit: AccountCode,
    now: datetime,
    money: Money | None = None,
) -> None:
    """Post a movement between two accounts about the invoice: its total unless `money` is given."""
    money = invoice.total if money is None else money

    def leg(code: AccountCode, amount: Money) -> Leg:
        return Leg(code, amount, invoice.customer_id if code is AccountCode.RECEIVABLE else None)

    ledger.post(
        entry_type=entry_type,
        source=invoice,
        billing_entity_id=invoice.billing_entity_id,
        legs=[leg(debit, money), leg(credit, -money)],
        occurred_at=now,
    )


def _record(
    event: EventType,
    actor: Actor,
    invoice: Invoice,
    watch: Watch,
    now: datetime,
    data: dict[str, object] | None = None,
) -> None:
    record(event, actor=actor, subject=invoice, before=watch.before, after=watch.after, data=data, occurred_at=now)
