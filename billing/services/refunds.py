"""Refunds: the saga of a payment, the other way round. All refunds of a payment together never exceed it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Sum

from billing import events, providers
from billing.errors import AmountTooLarge, PaymentCurrencyMismatch
from billing.models import AccountCode, EntryType, Payment, Refund, RefundReason
from billing.money_states import PAYMENT, REFUND, TransferStatus
from billing.permissions import REFUND_CREATE
from billing.providers.base import RefundResult
from billing.services import ledger, transfers
from billing.services.ledger import Leg
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import InvalidInput
from core.events import record
from core.money import Money


@command("billing.refund.create", is_durable=True)
def create(
    *,
    actor: Actor,
    payment: Payment,
    operation_key: str,
    now: datetime,
    money: Money | None = None,
    reason: str = RefundReason.OTHER,
    note: str = "",
) -> Refund:
    """Give back `money` (all that is left unless given) of a payment. Staff only. Called again with the same
    `operation_key` it goes on with, or returns, the same refund.

    The refund comes back succeeded, failed (`failure_code`) or unknown. Raises InvalidTransition (the payment has not
    succeeded), AmountTooLarge, PaymentCurrencyMismatch, RequestInProgress. Events: `billing.refund.succeeded` and
    `billing.payment.refunded`, or `billing.refund.failed`.
    """
    require(actor, REFUND_CREATE.name, payment)
    with transfers.one_for_each_key():
        refund = _intend(payment, money, operation_key, str(reason), note)
    return _carry_out(actor=actor, refund=refund, now=now) if refund.is_in_flight else refund


@command("billing.refund.settle", is_durable=True)
def settle(*, actor: Actor, refund: Refund, now: datetime) -> Refund:
    """Go on with a refund whose answer is not known and that nobody works on; otherwise nothing happens.

    Events: as `create`.
    """
    require(actor, REFUND_CREATE.name, refund)
    claimed = transfers.claim(refund)
    return refund if claimed is None else _carry_out(actor=actor, refund=claimed, now=now)


def remaining(payment: Payment) -> Money:
    """Return what of the payment is neither given back nor promised to be."""
    promised = payment.refunds.exclude(status=TransferStatus.FAILED).aggregate(sum=Sum("amount_minor"))["sum"]
    return Money(payment.amount_minor - int(promised or 0), payment.currency)


def _intend(payment: Payment, money: Money | None, operation_key: str, reason: str, note: str) -> Refund:
    """Commit what is to be done, leased to us; or take up what this key did before. The lock on the payment keeps
    two refunds from promising the same money."""
    with transaction.atomic():
        payment = payment.refreshed_for_update()
        known = Refund.objects.select_for_update(of=("self",)).filter(operation_key=operation_key).first()
        if known is not None:
            is_same = known.payment_id == payment.pk and (money is None or known.money == money)
            return transfers.resume(known, is_same_request=is_same)
        PAYMENT.target(payment, "refund")
        left = remaining(payment)
        money = left if money is None else money
        if money.currency != payment.currency:
            raise PaymentCurrencyMismatch(f"The payment is in {payment.currency}.", currency=payment.currency)
        if money.minor > left.minor or not left:
            raise AmountTooLarge(f"Only {left} of the payment is left to refund.", remaining_minor=left.minor)
        if money.minor <= 0:
            raise InvalidInput.at("/amount_minor", "The amount must be above zero.")
        refund = Refund(
            payment=payment,
            provider=payment.provider,
            amount_minor=money.minor,
            currency=money.currency,
            reason=reason,
            note=note,
            operation_key=operation_key,
        )
        transfers.lease(refund)
        refund.save(force_insert=True)
        return refund


def _carry_out(*, actor: Actor, refund: Refund, now: datetime) -> Refund:
    """Ask the provider, with no transaction open, and write what it says."""
    provider = providers.get(refund.provider)
    key = refund.public_id
    return transfers.carry_out(
        refund,
        act=lambda: provider.refund(
            key=key,
            charge_reference=refund.payment.provider_reference,
            amount_minor=refund.amount_minor,
            currency=refund.currency,
            metadata={"refund": key},
        ),
        find=lambda: provider.find_refund(key),
        write=lambda result: _write(actor=actor, refund=refund, result=result, now=now),
    )


def _write(*, actor: Actor, refund: Refund, result: RefundResult, now: datetime) -> Refund:
    """Commit what the refund came to: refund, payment, ledger, events. The first to hear it writes it."""
    with transaction.atomic():
        payment = refund.payment.refreshed_for_update()
        refund = refund.refreshed_for_update()
        if not refund.is_in_flight:
            return refund
        before = {"status": refund.status}
        transfers.settle(refund, answer=result, code=result.failure_code, machine=REFUND, now=now)
        record(
            events.REFUND_SUCCEEDED if result.is_success else events.REFUND_FAILED,
            actor=actor,
            subject=refund,
            before=before,
            after={"status": refund.status},
            data={
                "payment_id": payment.pk,
                "amount_minor": refund.amount_minor,
                "currency": refund.currency,
                "reason": refund.reason,
                "note": refund.note,
                "failure_code": refund.failure_code,
            },
            occurred_at=now,
        )
        if result.is_success:
            _count(actor=actor, payment=payment, refund=refund, now=now)
        return refund


def _count(*, actor: Actor, payment: Payment, refund: Refund, now: datetime) -> None:
    """Post the money and count it on the payment."""
    ledger.post(
        entry_type=EntryType.REFUND_SUCCEEDED,
        source=refund,
        billing_entity_id=payment.billing_entity_id,
        legs=[
            Leg(AccountCode.REFUNDS, refund.money),
            Leg(AccountCode.CASH_CLEARING, -refund.money, provider=refund.provider),
        ],
        occurred_at=now,
    )
    before = payment.refunded_minor
    payment.refunded_minor += refund.amount_minor
    payment.save(update_fields=["refunded_minor"])
    record(
        events.PAYMENT_REFUNDED,
        actor=actor,
        subject=payment,
        before={"refunded_minor": before},
        after={"refunded_minor": payment.refunded_minor},
        data={"refund_id": refund.pk},
        occurred_at=now,
    )
