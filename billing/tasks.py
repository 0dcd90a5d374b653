"""The jobs of billing: each reads its payload, calls one service, tells what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from billing.models import Invoice, Payment, Refund, Subscription
from billing.selectors import renewals as selectors
from billing.services import payments, refunds, renewals
from core import clock, jobs
from core.actor import SYSTEM
from core.jobs import JobRun, Priority, job

SETTLE_PAYMENT, SETTLE_REFUND = "billing.settle_payment", "billing.settle_refund"


@job("billing.renew_due", priority=Priority.HIGH)
def renew_due(run: JobRun) -> dict[str, Any]:
    """Enqueue what is due now: renewals, starts, first payments that never came."""
    renewed = renewals.enqueue_due(actor=SYSTEM, now=run.now)
    return {"renewals": renewed, "others": renewals.enqueue_starts_and_expiries(now=run.now)}


@job(renewals.RENEW, max_attempts=5)
def renew_subscription(run: JobRun) -> dict[str, Any]:
    """Begin and bill the next period of one subscription. When it does not run (it is unpaid, say) the period is left
    to a later job: it is due again once it runs."""
    subscription_id, period_end = run.payload["subscription_id"], datetime.fromisoformat(run.payload["period_end"])
    invoice = renewals.renew(
        actor=SYSTEM, subscription=Subscription(pk=subscription_id), period_end=period_end, now=_now(run)
    )
    if invoice is None and selectors.is_current(subscription_id, period_end):
        run.free_key()
    return {"invoice": invoice.public_id if invoice else None}


@job(renewals.START)
def start_subscription(run: JobRun) -> dict[str, Any]:
    """Begin one scheduled subscription."""
    subscription = renewals.start(actor=SYSTEM, subscription=_subscription(run), now=_now(run))
    return {"status": subscription.status}


@job(renewals.EXPIRE)
def expire_incomplete(run: JobRun) -> dict[str, Any]:
    """End one subscription whose first payment never came."""
    subscription = renewals.expire(actor=SYSTEM, subscription=_subscription(run), now=_now(run))
    return {"status": subscription.status}


@job("billing.collect_invoice", max_attempts=5)
def collect_invoice(run: JobRun) -> dict[str, Any]:
    """Charge one invoice to the customer's payment method."""
    invoice = Invoice(pk=run.payload["invoice_id"])
    payment = payments.collect(actor=SYSTEM, invoice=invoice, attempt=run.payload["attempt"], now=_now(run))
    return {"payment": payment.public_id if payment else None, "status": payment.status if payment else None}


@job("billing.settle_open", priority=Priority.HIGH)
def settle_open(run: JobRun) -> dict[str, Any]:
    """Enqueue a question to the provider for each payment and refund whose answer is not known. The key holds the
    minute, so that a sweep that runs twice asks once."""
    minute = f"{run.now:%Y%m%dT%H%M}"
    found_payments = selectors.unanswered_payments(run.now)
    found_refunds = selectors.unanswered_refunds(run.now)
    jobs.enqueue_many(
        SETTLE_PAYMENT, (({"payment_id": str(pk)}, f"settle:{pk}:{minute}") for pk in found_payments), actor=SYSTEM
    )
    jobs.enqueue_many(
        SETTLE_REFUND, (({"refund_id": str(pk)}, f"settle:{pk}:{minute}") for pk in found_refunds), actor=SYSTEM
    )
    return {"payments": len(found_payments), "refunds": len(found_refunds)}


@job(SETTLE_PAYMENT)
def settle_payment(run: JobRun) -> dict[str, Any]:
    """Ask what became of one payment, and write it."""
    payment = Payment.objects.get(pk=run.payload["payment_id"])
    return {"status": payments.settle(actor=SYSTEM, payment=payment, now=clock.now()).status}


@job(SETTLE_REFUND)
def settle_refund(run: JobRun) -> dict[str, Any]:
    """Ask what became of one refund, and write it."""
    refund = Refund.objects.select_related("payment").get(pk=run.payload["refund_id"])
    return {"status": refunds.settle(actor=SYSTEM, refund=refund, now=clock.now()).status}


def _now(run: JobRun) -> datetime:
    """The moment for which the work was ordered; a retry later does not change what is done."""
    return datetime.fromisoformat(run.payload["now"])


def _subscription(run: JobRun) -> Subscription:
    return Subscription.objects.get(pk=run.payload["subscription_id"])
