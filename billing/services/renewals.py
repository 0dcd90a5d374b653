"""What happens as time passes: periods end and begin, and each is billed exactly once.

One job for one subscription and period, by the job's unique key; one invoice for them, by a unique constraint. Somebody
who is several periods behind gets one invoice for each, in order: each renewal enqueues the next.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from billing.models import Invoice, InvoiceReason, Subscription
from billing.periods import Period
from billing.permissions import RENEWAL_RUN
from billing.selectors import renewals as selectors
from billing.services import invoices, lifecycle
from billing.services.subscriptions import INCOMPLETE_FOR, incomplete_deadline
from billing.states import RUNNING, Status
from core import jobs
from core.access import require
from core.actor import SYSTEM, Actor
from core.commands import command

RENEW, START, EXPIRE = "billing.renew_subscription", "billing.start_subscription", "billing.expire_incomplete"


def enqueue_due(*, actor: Actor, now: datetime) -> int:
    """Enqueue one job for each subscription that is due at `now`; return how many are new. Again: none.

    Commits every 500. `now` travels with the jobs, so that what they do does not depend on when they run.
    """
    require(actor, RENEWAL_RUN.name)
    items = (_renewal(subscription_id, period_end, now) for subscription_id, period_end in selectors.due(now))
    return jobs.enqueue_many(RENEW, items, actor=SYSTEM)


def enqueue_starts_and_expiries(*, now: datetime) -> int:
    """Enqueue what is to begin or has waited too long for its first payment; return how many are new."""
    moment = now.isoformat()
    starts = jobs.enqueue_many(
        START,
        (({"subscription_id": str(pk), "now": moment}, f"start:{pk}") for pk in selectors.to_start(now)),
        actor=SYSTEM,
    )
    waiting = selectors.incomplete(now - INCOMPLETE_FOR)
    expiries = jobs.enqueue_many(
        EXPIRE,
        (
            ({"subscription_id": str(pk), "now": moment}, f"expire:{pk}:{began:%Y%m%dT%H%M%S.%f}")
            for pk, began in waiting
        ),
        actor=SYSTEM,
    )
    return starts + expiries


@command("billing.renewal.renew")
def renew(*, actor: Actor, subscription: Subscription, period_end: datetime, now: datetime) -> Invoice | None:
    """End the period that ends at `period_end` and bill the one that begins; None when that has happened, or the
    subscription ended with its period.

    The plan change or cancellation that waits for the period's end takes effect. Events: `billing.subscription.renewed`
    (or `.canceled`, `.plan_changed`) and `billing.invoice.finalized`.
    """
    require(actor, RENEWAL_RUN.name)
    rows = Subscription.objects.select_for_update(of=("self",)).select_related("customer__billing_entity")
    locked = rows.get(pk=subscription.pk)
    if locked.status not in RUNNING or locked.current_period_end != period_end or period_end > now:
        return None
    renewal = lifecycle.renew(actor=actor, subscription=locked, now=now)
    if renewal.period is None:
        return None
    renewed = renewal.subscription
    if renewed.current_period_end <= now:
        payload, key = _renewal(renewed.pk, renewed.current_period_end, now)
        jobs.enqueue(RENEW, payload, actor=SYSTEM, unique_key=key, organization_id=renewed.customer.organization_id)
    return invoices.issue_for_period(
        actor=actor,
        subscription=renewed,
        period=renewal.period,
        reason=InvoiceReason.SUBSCRIPTION_CYCLE,
        now=now,
    )


@command("billing.renewal.start")
def start(*, actor: Actor, subscription: Subscription, now: datetime) -> Subscription:
    """Begin a scheduled subscription whose day has come, and bill its first period when it has no trial.

    Events: `billing.subscription.started`, `billing.invoice.finalized`.
    """
    require(actor, RENEWAL_RUN.name, subscription)
    subscription = subscription.refreshed_for_update()
    if subscription.status != Status.SCHEDULED or subscription.started_at > now:
        return subscription
    subscription = lifecycle.start(actor=actor, subscription=subscription, now=now)
    if subscription.status != Status.TRIALING:
        invoices.issue_for_period(
            actor=actor,
            subscription=subscription,
            period=Period(subscription.current_period_start, subscription.current_period_end),
            reason=InvoiceReason.SUBSCRIPTION_CREATE,
            now=now,
        )
    return subscription


@command("billing.renewal.expire")
def expire(*, actor: Actor, subscription: Subscription, now: datetime) -> Subscription:
    """End a subscription whose first payment never came, and void what it was asked for. A payment that is still on
    its way keeps it waiting: raises PaymentInProgress.

    Events: `billing.subscription.expired`, `billing.invoice.voided`.
    """
    require(actor, RENEWAL_RUN.name, subscription)
    subscription = subscription.refreshed_for_update()
    if subscription.status != Status.INCOMPLETE or incomplete_deadline(subscription) > now:
        return subscription
    invoices.void_unpaid(subscription=subscription, reason="The first payment never came.", now=now)
    return lifecycle.expire_incomplete(actor=actor, subscription=subscription, now=now)


def _renewal(subscription_id: UUID, period_end: datetime, now: datetime) -> tuple[dict[str, str], str]:
    """Return payload and unique key of the job that ends this period."""
    payload = {
        "subscription_id": str(subscription_id),
        "period_end": period_end.isoformat(),
        "now": now.isoformat(),
    }
    return payload, f"renew:{subscription_id}:{period_end:%Y%m%dT%H%M%S.%f}"
