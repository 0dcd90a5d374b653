"""Payments: a saga of three committed steps. The intent; the provider's act under a key of ours; what it came to.

    created (processing) --> provider --> succeeded | failed(code)
                                     `--> unknown --> asked again until it is known

Nothing is open while the provider is asked. Killed anywhere, the row tells where it stands, and `settle` goes on.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from billing import events, providers
from billing.errors import (
    AmountTooLarge,
    InvoiceAlreadyPaid,
    PaymentCurrencyMismatch,
    PaymentInProgress,
    PaymentMethodUnusable,
)
from billing.models import (
    AccountCode,
    EntryType,
    Invoice,
    InvoiceLine,
    InvoiceReason,
    Payment,
    PaymentAllocation,
    PaymentMethod,
    Subscription,
)
from billing.money_states import INVOICE, PAYMENT, InvoiceStatus
from billing.permissions import PAYMENT_CREATE
from billing.providers.base import ChargeResult
from billing.services import invoices, ledger, lifecycle, transfers
from billing.services.ledger import Leg
from billing.states import Status, is_allowed
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import InvalidInput
from core.events import record
from core.money import Money


@command("billing.payment.create", is_durable=True)
def create(
    *,
    actor: Actor,
    invoice: Invoice,
    operation_key: str,
    now: datetime,
    payment_method: PaymentMethod | None = None,
    money: Money | None = None,
) -> Payment:
    """Pay an invoice, or a part of it: `money` (all that is due unless given) from `payment_method` (the customer's
    default unless given). Called again with the same `operation_key` it goes on with, or returns, the same payment.

    The payment comes back succeeded, failed (`failure_code`) or unknown (it is asked for until it is known). Raises
    InvoiceAlreadyPaid, PaymentInProgress, RequestInProgress (409), AmountTooLarge, PaymentCurrencyMismatch,
    PaymentMethodUnusable (422). Events: `billing.payment.succeeded`, `.failed` or `.answer_lost`, those of invoice and
    subscription.
    """
    require(actor, PAYMENT_CREATE.name, invoice)
    with transfers.one_for_each_key():
        payment = _intend(invoice, payment_method, money, operation_key)
    return _carry_out(actor=actor, payment=payment, now=now) if payment.is_in_flight else payment


@command("billing.payment.settle", is_durable=True)
def settle(*, actor: Actor, payment: Payment, now: datetime) -> Payment:
    """Go on with a payment whose answer is not known and that nobody works on; otherwise nothing happens.

    Events: as `create`.
    """
    require(actor, PAYMENT_CREATE.name, payment)
    claimed = transfers.claim(payment)
    return payment if claimed is None else _carry_out(actor=actor, payment=claimed, now=now)


@command("billing.invoice.collect", is_durable=True)
def collect(*, actor: Actor, invoice: Invoice, attempt: int, now: datetime) -> Payment | None:
    """Charge what is due to the customer's default payment method, once for each `attempt`; None when nothing is due,
    somebody else is paying, or there is no payment method (the failure is noted).

    Events: as `create`; without a payment method `billing.invoice.collection_failed`.
    """
    require(actor, PAYMENT_CREATE.name, invoice)
    key = f"collect:{invoice.pk}:{attempt}"
    try:
        return create(actor=actor, invoice=invoice, operation_key=key, now=now)
    except (InvoiceAlreadyPaid, PaymentInProgress):
        return None
    except PaymentMethodUnusable:
        _note_uncollected(actor=actor, invoice=invoice, now=now)
        return None


def _intend(invoice: Invoice, method: PaymentMethod | None, money: Money | None, operation_key: str) -> Payment:
    """Commit what is to be done, leased to us; or take up what this key did before."""
    with transaction.atomic():
        invoice = (
            Invoice.objects.select_for_update(of=("self",))
            .select_related("customer__default_payment_method")
            .get(pk=invoice.pk)
        )
        known = Payment.objects.select_for_update(of=("self",)).filter(operation_key=operation_key).first()
        if known is not None:
            return transfers.resume(known, is_same_request=_is_same(known, invoice, method, money))
        _refuse_what_cannot_be_paid(invoice)
        due = Money(invoice.amount_due_minor, invoice.currency)
        money = due if money is None else money
        if money.currency != due.currency:
            raise PaymentCurrencyMismatch(
                f"The invoice is in {due.currency}, the payment in {money.currency}.", currency=due.currency
            )
        if money.minor <= 0:
            raise InvalidInput.at("/amount_minor", "The amount must be above zero.")
        if money.minor > due.minor:
            raise AmountTooLarge(f"{due} is due, {money} is too much.", amount_due_minor=due.minor)
        method = _usable(invoice, method)
        payment = Payment(
            customer=invoice.customer,
            billing_entity_id=invoice.billing_entity_id,
            payment_method=method,
            provider=method.provider,
            amount_minor=money.minor,
            currency=money.currency,
            operation_key=operation_key,
        )
        transfers.lease(payment)
        payment.save(force_insert=True)
        PaymentAllocation.objects.bulk_create(
            [PaymentAllocation(payment=payment, invoice=invoice, amount_minor=money.minor)]
        )
        return payment


def _refuse_what_cannot_be_paid(invoice: Invoice) -> None:
    if invoice.status == InvoiceStatus.PAID:
        raise InvoiceAlreadyPaid(f"The invoice {invoice} is paid.", current_status=invoice.status)
    INVOICE.target(invoice, "pay")
    if invoices.is_payment_in_flight(invoice):
        raise PaymentInProgress(f"Another payment of the invoice {invoice} waits for the provider's answer.")


def _usable(invoice: Invoice, method: PaymentMethod | None) -> PaymentMethod:
    method = method or invoice.customer.default_payment_method
    if method is None:
        raise PaymentMethodUnusable("The customer has no payment method.")
    if method.customer_id != invoice.customer_id or method.detached_at is not None:
        raise PaymentMethodUnusable("The payment method is detached or another customer's.")
    providers.check_takes_payments(method.provider)
    return method


def _is_same(payment: Payment, invoice: Invoice, method: PaymentMethod | None, money: Money | None) -> bool:
    return (
        payment.allocations.filter(invoice=invoice).exists()
        and (method is None or payment.payment_method_id == method.pk)
        and (money is None or payment.money == money)
    )


def _carry_out(*, actor: Actor, payment: Payment, now: datetime) -> Payment:
    """Ask the provider, with no transaction open, and write what it says."""
    provider = providers.get(payment.provider)
    key = payment.public_id
    return transfers.carry_out(
        payment,
        act=lambda: provider.charge(
            key=key,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            payment_method=payment.payment_method.provider_reference,
            metadata={"payment": key},
        ),
        find=lambda: provider.find_charge(key),
        write=lambda result: _write(actor=actor, payment=payment, result=result, now=now),
        lost=lambda locked: _note_lost(actor=actor, payment=locked, before=payment.status, now=now),
    )


def _note_lost(*, actor: Actor, payment: Payment, before: str, now: datetime) -> None:
    record(
        events.PAYMENT_ANSWER_LOST,
        actor=actor,
        subject=payment,
        before={"status": before},
        after={"status": payment.status},
        data={
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "customer_id": payment.customer_id,
            "invoice_id": payment.allocations.values_list("invoice_id", flat=True).get(),
        },
        occurred_at=now,
    )


def _write(*, actor: Actor, payment: Payment, result: ChargeResult, now: datetime) -> Payment:
    """Commit what the charge came to, for payment, invoice, subscription and ledger. Who hears it first writes it."""
    with transaction.atomic():
        subscriptions = _lock_subscriptions(payment)
        invoice = (
            Invoice.objects.select_for_update(of=("self",)).filter(allocations__payment=payment).order_by("pk").get()
        )
        payment = payment.refreshed_for_update()
        if not payment.is_in_flight:
            return payment
        invoice.customer = payment.customer
        before = {"status": payment.status}
        transfers.settle(payment, answer=result, code=result.decline_code, machine=PAYMENT, now=now)
        record(
            events.PAYMENT_SUCCEEDED if result.is_success else events.PAYMENT_FAILED,
            actor=actor,
            subject=payment,
            before=before,
            after={"status": payment.status},
            data=_facts(payment, invoice),
            occurred_at=now,
        )
        if result.is_success:
            _count(actor=actor, payment=payment, invoice=invoice, subscriptions=subscriptions, now=now)
        else:
            code = payment.failure_code
            _fail(actor=actor, invoice=invoice, subscriptions=subscriptions, code=code, now=now)
        return payment


def _count(
    *, actor: Actor, payment: Payment, invoice: Invoice, subscriptions: list[Subscription], now: datetime
) -> None:
    """Post the money, count it on the invoice, and let what waited for it run."""
    is_written_off = invoice.status == InvoiceStatus.UNCOLLECTIBLE
    answer = (
        Leg(AccountCode.BAD_DEBT, -payment.money)
        if is_written_off
        else Leg(AccountCode.RECEIVABLE, -payment.money, customer_id=payment.customer_id)
    )
    ledger.post(
        entry_type=EntryType.PAYMENT_SUCCEEDED,
        source=payment,
        billing_entity_id=payment.billing_entity_id,
        legs=[Leg(AccountCode.CASH_CLEARING, payment.money, provider=payment.provider), answer],
        occurred_at=now,
    )
    invoices.mark_paid(actor=actor, invoice=invoice, money=payment.money, now=now)
    if invoice.status != InvoiceStatus.PAID:
        return
    for subscription in subscriptions:
        if _may_run(subscription, invoice):
            lifecycle.activate(actor=actor, subscription=subscription, now=now)


def _fail(*, actor: Actor, invoice: Invoice, subscriptions: list[Subscription], code: str, now: datetime) -> None:
    """Note the failure; what ran on this invoice is past due from now on. The dunning engine will take it from here."""
    invoices.note_failure(actor=actor, invoice=invoice, code=code, now=now)
    if invoice.reason != InvoiceReason.SUBSCRIPTION_CYCLE:
        return
    for subscription in subscriptions:
        if subscription.status != Status.PAST_DUE and is_allowed(subscription, "mark_past_due"):
            lifecycle.mark_past_due(actor=actor, subscription=subscription, now=now)


def _note_uncollected(*, actor: Actor, invoice: Invoice, now: datetime) -> None:
    with transaction.atomic():
        rows = Subscription.objects.select_for_update(of=("self",)).filter(
            pk__in=InvoiceLine.objects.filter(invoice=invoice).values("subscription_id")
        )
        subscriptions = list(rows.order_by("pk"))
        invoice = invoice.refreshed_for_update()
        if invoice.status == InvoiceStatus.OPEN:
            _fail(actor=actor, invoice=invoice, subscriptions=subscriptions, code="no_payment_method", now=now)


def _lock_subscriptions(payment: Payment) -> list[Subscription]:
    reached = InvoiceLine.objects.filter(invoice__allocations__payment=payment).values("subscription_id")
    return list(Subscription.objects.select_for_update(of=("self",)).filter(pk__in=reached).order_by("pk"))


def _may_run(subscription: Subscription, paid: Invoice) -> bool:
    """Whether the subscription waited for this payment: an incomplete one for that of its first period, another one for
    the last that it owes."""
    if subscription.status == Status.INCOMPLETE:
        lines = InvoiceLine.objects.filter(invoice=paid, subscription=subscription)
        return lines.filter(period_start=subscription.current_period_start).exists()
    return subscription.status in (Status.PAST_DUE, Status.UNPAID) and not _owes_more(subscription, paid)


def _owes_more(subscription: Subscription, paid: Invoice) -> bool:
    """Whether another invoice of the subscription could not be collected and is still open."""
    others = InvoiceLine.objects.filter(subscription=subscription, invoice__status=InvoiceStatus.OPEN)
    return others.exclude(invoice=paid).exclude(invoice__last_failure_code="").exists()


def _facts(payment: Payment, invoice: Invoice) -> dict[str, object]:
    return {
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "customer_id": payment.customer_id,
        "invoice_id": invoice.pk,
        "failure_code": payment.failure_code,
    }
