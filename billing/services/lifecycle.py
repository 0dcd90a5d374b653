"""What happens to subscriptions by itself, as time passes and payments come in or fail.

These are steps of other commands (a payment, a renewal), which have asked for permission; `actor` is who caused them.
All lock the subscription, ask `billing/states.py` and record one event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from billing import events
from billing.models import Subscription
from billing.periods import Cadence, Period
from billing.services.changes import Watch
from billing.states import Status, target
from core.actor import Actor
from core.commands import command
from core.events import EventType, record

WATCHED = (
    "status",
    "access",
    "cancel_at_period_end",
    "current_period_start",
    "current_period_end",
    "billing_anchor",
    "trial_end",
    "canceled_at",
    "ended_at",
    "is_end_known",
    "paused_at",
    "suspended_at",
    "suspended_reason",
    "pending_price_id",
    "pending_quantity",
    "pending_effective_at",
    "cancel_reason",
)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What `renew` came to: the period that began (it is to be billed), or none when the subscription ended or was not
    due."""

    subscription: Subscription
    period: Period | None


def cadence_of(subscription: Subscription) -> Cadence:
    """Return how often the subscription is billed; all its prices share it."""
    price = subscription.items.select_related("price").order_by("id")[0].price
    return Cadence(price.interval, price.interval_count, subscription.time_zone)


def finish(
    event: EventType,
    *,
    actor: Actor,
    subscription: Subscription,
    watch: Watch,
    now: datetime,
    data: dict[str, object] | None = None,
) -> Subscription:
    """Save what changed and record `event` about it."""
    if watch.fields:
        subscription.save(update_fields=watch.fields)
    record(
        event,
        actor=actor,
        subject=subscription,
        before=watch.before,
        after=watch.after,
        data=data,
        occurred_at=now,
    )
    return subscription


@command("billing.subscription.start")
def start(*, actor: Actor, subscription: Subscription, now: datetime) -> Subscription:
    """Begin a scheduled subscription whose day has come: into its trial, or to wait for its first payment (nothing to
    pay: active). Event: `billing.subscription.started`."""
    subscription = subscription.refreshed_for_update()
    watch = Watch(subscription, *WATCHED)
    if subscription.trial_end is not None and subscription.trial_end > now:
        subscription.status = target(subscription, "start_trial")
    elif any(item.price.amount_minor for item in subscription.items.select_related("price")):
        subscription.status = target(subscription, "await_payment")
    else:
        subscription.status = target(subscription, "activate")
    return finish(events.SUBSCRIPTION_STARTED, actor=actor, subscription=subscription, watch=watch, now=now)


@command("billing.subscription.activate")
def activate(*, actor: Actor, subscription: Subscription, now: datetime) -> Subscription:
    """Turn a subscription active because it was paid: the first payment, or one that was late.

    One that is active already stays as it is, without an event. Event: `billing.subscription.activated`.
    """
    subscription = subscription.refreshed_for_update()
    if subscription.status == Status.ACTIVE:
        return subscription
    watch = Watch(subscription, *WATCHED)
    subscription.status = target(subscription, "activate")
    return finish(events.SUBSCRIPTION_ACTIVATED, actor=actor, subscription=subscription, watch=watch, now=now)


@command("billing.subscription.mark_past_due")
def mark_past_due(*, actor: Actor, subscription: Subscription, now: datetime) -> Subscription:
    """Note that a payment failed; one that is past due already stays. Event: `billing.subscription.became_past_due`."""
    subscription = subscription.refreshed_for_update()
    if subscription.status == Status.PAST_DUE:
        return subscription
    watch = Watch(subscription, *WATCHED)
    subscription.status = target(subscription, "mark_past_due")
    return finish(events.SUBSCRIPTION_BECAME_PAST_DUE, actor=actor, subscription=subscription, watch=watch, now=now)


@command("billing.subscription.mark_unpaid")
def mark_unpaid(*, actor: Actor, subscription: Subscription, now: datetime) -> Subscription:
    """Give up collecting. Event: `billing.subscription.became_unpaid`."""
    subscription = subscription.refreshed_for_update()
    watch = Watch(subscription, *WATCHED)
    subscription.status = target(subscription, "mark_unpaid")
    return finish(events.SUBSCRIPTION_BECAME_UNPAID, actor=actor, subscription=subscription, watch=watch, now=now)


@command("billing.subscription.expire_incomplete")
def expire_incomplete(*, actor: Actor, subscription: Subscription, now: datetime) -> Subscription:
    """End a subscription whose first payment never came. Event: `billing.subscription.expired`."""
    subscription = subscription.refreshed_for_update()
    watch = Watch(subscription, *WATCHED)
    subscription.status = target(subscription, "expire_incomplete")
    subscription.ended_at = now
    return finish(events.SUBSCRIPTION_EXPIRED, actor=actor, subscription=subscription, watch=watch, now=now)


@command("billing.subscription.renew")
def renew(*, actor: Actor, subscription: Subscription, now: datetime) -> Renewal:
    """Let the next period begin when the current one is over; otherwise nothing happens.

    A pending cancellation ends the subscription instead, at the period's end; a pending price takes effect. One period
    a call: who is behind calls again. Raises `InvalidTransition` for one that does not run. Events:
    `billing.subscription.renewed` or `.canceled`, before it `.plan_changed`.
    """
    subscription = subscription.refreshed_for_update()
    if subscription.current_period_end > now:
        return Renewal(subscription, None)
    watch = Watch(subscription, *WATCHED)
    if subscription.cancel_at_period_end:
        subscription.status = target(subscription, "cancel")
        end(subscription, subscription.current_period_end)
        finish(events.SUBSCRIPTION_CANCELED, actor=actor, subscription=subscription, watch=watch, now=now)
        return Renewal(subscription, None)
    subscription.status = target(subscription, "renew")
    cadence = cadence_of(subscription)
    if subscription.pending_price_id is not None:
        old = cadence
        apply_pending(actor=actor, subscription=subscription, now=now)
        cadence = cadence_of(subscription)
        if cadence != old:
            subscription.billing_anchor = subscription.current_period_end
    period = cadence.next_period(subscription.billing_anchor, subscription.current_period_end)
    subscription.current_period_start, subscription.current_period_end = period.start, period.end
    finish(events.SUBSCRIPTION_RENEWED, actor=actor, subscription=subscription, watch=watch, now=now)
    return Renewal(subscription, period)


def apply_pending(*, actor: Actor, subscription: Subscription, now: datetime) -> None:
    """Put the pending price on the item (of a locked subscription that its caller saves)."""
    price = subscription.pending_price
    if price is None:
        return
    item = subscription.items.select_related("price").get()
    before = {"price_id": item.price_id, "quantity": item.quantity}
    item.price, item.quantity = price, subscription.pending_quantity or item.quantity
    item.save(update_fields=["price", "quantity"])
    clear_pending(subscription)
    record(
        events.SUBSCRIPTION_PLAN_CHANGED,
        actor=actor,
        subject=subscription,
        before=before,
        after={"price_id": item.price_id, "quantity": item.quantity},
        occurred_at=now,
    )


def clear_pending(subscription: Subscription) -> None:
    """Forget a pending plan change."""
    subscription.pending_price = None
    subscription.pending_quantity = None
    subscription.pending_effective_at = None


def end(subscription: Subscription, moment: datetime) -> None:
    """Note the end of a subscription that is being cancelled."""
    subscription.ended_at = moment
    subscription.is_end_known = True
    subscription.cancel_at_period_end = False
    subscription.paused_at = None
    clear_pending(subscription)
