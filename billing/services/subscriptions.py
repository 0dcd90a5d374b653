"""Subscriptions: what customers and staff may ask for. What happens by itself stands in `lifecycle`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from billing import events
from billing.errors import (
    NothingToChange,
    ProrationNotAvailable,
    SeveralItems,
)
from billing.models import Customer, Invoice, InvoiceReason, Price, Subscription, SubscriptionItem
from billing.periods import Period
from billing.permissions import (
    SUBSCRIPTION_CANCEL,
    SUBSCRIPTION_CHANGE_PLAN,
    SUBSCRIPTION_CREATE,
    SUBSCRIPTION_PAUSE,
    SUBSCRIPTION_REACTIVATE,
    SUBSCRIPTION_SUSPEND,
)
from billing.services import invoices
from billing.services.beginnings import Beginning, Line, check_lines, check_price, check_total, check_trial, plan
from billing.services.changes import Watch
from billing.services.lifecycle import (
    WATCHED,
    activate,
    apply_pending,
    cadence_of,
    clear_pending,
    end,
    finish,
)
from billing.states import Access, Collection, Status, target
from core.access import require
from core.actor import Actor
from core.commands import command
from core.events import record

NEXT_RENEWAL, NOW = "next_renewal", "now"
INCOMPLETE_FOR = timedelta(hours=24)


@command("billing.subscription.create")
def create(
    *,
    actor: Actor,
    customer: Customer,
    lines: Sequence[Line],
    now: datetime,
    starts_at: datetime | None = None,
    trial_days: int | None = None,
    collection: str = Collection.AUTOMATIC,
    term: str = "",
    operation_key: str | None = None,
) -> Subscription:
    """Subscribe `customer`. It is scheduled when `starts_at` lies ahead, on trial when the price (or `trial_days`, by
    staff) says so, active when nothing is to be paid, else incomplete until its first invoice is paid.

    Raises `CurrencyMismatch`, `MixedIntervals`, `PriceNotAvailable`, `TrialAlreadyUsed`. Event:
    `billing.subscription.created`.
    """
    require(actor, SUBSCRIPTION_CREATE.name, customer)
    check_lines(actor=actor, customer=customer, lines=lines)
    customer = customer.refreshed_for_update()  # of two at once one has the trial
    check_trial(actor=actor, customer=customer, lines=lines, trial_days=trial_days)
    begin = plan(customer=customer, lines=lines, now=now, starts_at=starts_at, trial_days=trial_days)
    subscription = _save_new(customer, lines, begin, collection=str(collection), term=term, operation_key=operation_key)
    record(
        events.SUBSCRIPTION_CREATED,
        actor=actor,
        subject=subscription,
        after={"status": subscription.status, "started_at": subscription.started_at},
        data={
            "customer_id": customer.pk,
            "items": [{"price_id": str(line.price.pk), "quantity": line.quantity} for line in lines],
        },
        occurred_at=now,
    )
    if subscription.status in (Status.INCOMPLETE, Status.ACTIVE):
        _bill(actor=actor, subscription=subscription, now=now, reason=InvoiceReason.SUBSCRIPTION_CREATE)
    return subscription


def _save_new(customer: Customer, lines: Sequence[Line], begin: Beginning, **values: str | None) -> Subscription:
    """Write a new subscription and its items."""
    subscription = Subscription.objects.create(
        customer=customer,
        billing_entity_id=customer.billing_entity_id,
        status=begin.status,
        currency=customer.currency,
        time_zone=customer.time_zone,
        started_at=begin.started_at,
        trial_end=begin.trial_end,
        billing_anchor=begin.anchor,
        current_period_start=begin.period.start,
        current_period_end=begin.period.end,
        **values,
    )
    SubscriptionItem.objects.bulk_create(
        SubscriptionItem(subscription=subscription, price=line.price, quantity=line.quantity) for line in lines
    )
    return subscription


def only_item(subscription: Subscription) -> SubscriptionItem:
    """Return the item of a subscription that has one. Raises `SeveralItems`."""
    items = list(subscription.items.select_related("price"))
    if len(items) != 1:
        raise SeveralItems("The plan of a subscription with several items cannot be changed by one price.")
    return items[0]


@command("billing.subscription.change_plan")
def change_plan(
    *,
    actor: Actor,
    subscription: Subscription,
    price: Price,
    now: datetime,
    quantity: int | None = None,
    effective: str = NEXT_RENEWAL,
    reason: str = "",
) -> Subscription:
    """Let another price (or quantity) apply from the next period on. Choosing what runs now withdraws a pending change.

    Raises `ProrationNotAvailable` for `effective="now"`, `SeveralItems`, `NothingToChange`, `PriceNotAvailable`,
    `CurrencyMismatch`. Event: `billing.subscription.plan_change_scheduled` (or `.plan_change_withdrawn`).
    """
    require(actor, SUBSCRIPTION_CHANGE_PLAN.name, subscription)
    subscription = subscription.refreshed_for_update()
    subscription.status = target(subscription, "change_plan")
    if effective != NEXT_RENEWAL:
        raise ProrationNotAvailable(
            "A plan change takes effect at the next renewal: a change at once needs proration, which is not there yet.",
            effective_at=subscription.current_period_end.isoformat(),
        )
    item = only_item(subscription)
    wanted = quantity or item.quantity
    watch = Watch(subscription, *WATCHED)
    event = events.SUBSCRIPTION_PLAN_CHANGE_SCHEDULED
    if (price.pk, wanted) == (item.price_id, item.quantity):
        if subscription.pending_price_id is None:
            raise NothingToChange("The subscription has this price and quantity already.")
        clear_pending(subscription)
        event = events.SUBSCRIPTION_PLAN_CHANGE_WITHDRAWN
    else:
        check_price(actor=actor, price=price, currency=subscription.currency)
        check_total(price.amount_minor * wanted, pointer="/quantity")
        subscription.pending_price = price
        subscription.pending_quantity = wanted
        subscription.pending_effective_at = subscription.current_period_end
    data: dict[str, object] = {"reason": reason, "price_id": item.price_id}
    return finish(event, actor=actor, subscription=subscription, watch=watch, now=now, data=data)


@command("billing.subscription.cancel")
def cancel(
    *, actor: Actor, subscription: Subscription, now: datetime, at_period_end: bool = True, reason: str = ""
) -> Subscription:
    """Cancel at the period's end, or at once (what still waited for its first payment is then not owed any more; a
    payment under way raises `PaymentInProgress`).

    Events: `billing.subscription.cancellation_scheduled` or `.canceled`.
    """
    require(actor, SUBSCRIPTION_CANCEL.name, subscription)
    subscription = subscription.refreshed_for_update()
    watch = Watch(subscription, *WATCHED)
    was_incomplete = subscription.status == Status.INCOMPLETE
    subscription.status = target(subscription, "cancel_at_period_end" if at_period_end else "cancel")
    if was_incomplete:
        invoices.void_unpaid(subscription=subscription, reason="Cancelled before the first payment.", now=now)
    subscription.canceled_at = now
    subscription.cancel_reason = reason
    event = events.SUBSCRIPTION_CANCELLATION_SCHEDULED
    if at_period_end:
        subscription.cancel_at_period_end = True
    else:
        end(subscription, now)
        event = events.SUBSCRIPTION_CANCELED
    return finish(event, actor=actor, subscription=subscription, watch=watch, now=now, data={"reason": reason})


@command("billing.subscription.undo_cancel")
def undo_cancel(*, actor: Actor, subscription: Subscription, now: datetime) -> Subscription:
    """Take back a cancellation that has not taken effect. Event: `billing.subscription.cancellation_undone`."""
    require(actor, SUBSCRIPTION_CANCEL.name, subscription)
    subscription = subscription.refreshed_for_update()
    watch = Watch(subscription, *WATCHED)
    subscription.status = target(subscription, "undo_cancel")
    subscription.cancel_at_period_end = False
    subscription.canceled_at = None
    subscription.cancel_reason = ""
    return finish(events.SUBSCRIPTION_CANCELLATION_UNDONE, actor=actor, subscription=subscription, watch=watch, now=now)


@command("billing.subscription.pause")
def pause(*, actor: Actor, subscription: Subscription, now: datetime, reason: str = "") -> Subscription:
    """Stop billing until it is resumed; what was paid is not paid back. Event: `billing.subscription.paused`."""
    require(actor, SUBSCRIPTION_PAUSE.name, subscription)
    subscription = subscription.refreshed_for_update()
    watch = Watch(subscription, *WATCHED)
    subscription.status = target(subscription, "pause")
    subscription.paused_at = now
    return finish(
        events.SUBSCRIPTION_PAUSED,
        actor=actor,
        subscription=subscription,
        watch=watch,
        now=now,
        data={"reason": reason},
    )


@command("billing.subscription.resume")
def resume(*, actor: Actor, subscription: Subscription, now: datetime) -> Subscription:
    """Go on. Within the paid period nothing is billed; after it a new period begins now and is billed.

    Event: `billing.subscription.resumed` (and those of the invoice).
    """
    require(actor, SUBSCRIPTION_PAUSE.name, subscription)
    subscription = subscription.refreshed_for_update()
    watch = Watch(subscription, *WATCHED)
    subscription.status = target(subscription, "resume")
    subscription.paused_at = None
    is_over = subscription.current_period_end <= now
    if is_over:
        apply_pending(actor=actor, subscription=subscription, now=now)
        _begin_period(subscription, now)
    finish(events.SUBSCRIPTION_RESUMED, actor=actor, subscription=subscription, watch=watch, now=now)
    if is_over:
        _bill(actor=actor, subscription=subscription, now=now)
    return subscription


@command("billing.subscription.suspend")
def suspend(*, actor: Actor, subscription: Subscription, reason: str, now: datetime) -> Subscription:
    """Shut the customer out, whatever the status; billing goes on. Event: `billing.subscription.suspended`."""
    require(actor, SUBSCRIPTION_SUSPEND.name, subscription)
    subscription = subscription.refreshed_for_update()
    watch = Watch(subscription, *WATCHED)
    subscription.status = target(subscription, "suspend")
    subscription.access = Access.SUSPENDED
    subscription.suspended_at = now
    subscription.suspended_reason = reason
    return finish(
        events.SUBSCRIPTION_SUSPENDED,
        actor=actor,
        subscription=subscription,
        watch=watch,
        now=now,
        data={"reason": reason},
    )


@command("billing.subscription.unsuspend")
def unsuspend(*, actor: Actor, subscription: Subscription, now: datetime, reason: str = "") -> Subscription:
    """Let the customer in again. Event: `billing.subscription.unsuspended`."""
    require(actor, SUBSCRIPTION_SUSPEND.name, subscription)
    subscription = subscription.refreshed_for_update()
    watch = Watch(subscription, *WATCHED)
    subscription.status = target(subscription, "unsuspend")
    subscription.access = Access.GRANTED
    subscription.suspended_at = None
    subscription.suspended_reason = ""
    return finish(
        events.SUBSCRIPTION_UNSUSPENDED,
        actor=actor,
        subscription=subscription,
        watch=watch,
        now=now,
        data={"reason": reason},
    )


@command("billing.subscription.reactivate")
def reactivate(*, actor: Actor, subscription: Subscription, now: datetime) -> Subscription:
    """Let a cancelled subscription begin anew, at its price: a period begins now and is billed. As with a new one
    nobody is let in before the first payment: it is `incomplete` until its invoice is paid (which is collected as a
    renewal's is), or active at once when nothing is to be paid.

    Events: `billing.subscription.reactivated` (nothing to pay: `.activated` too) and those of the invoice.
    """
    require(actor, SUBSCRIPTION_REACTIVATE.name, subscription)
    subscription = subscription.refreshed_for_update()
    watch = Watch(subscription, *WATCHED)
    subscription.status = target(subscription, "reactivate")
    subscription.canceled_at = None
    subscription.cancel_reason = ""
    subscription.ended_at = None
    subscription.is_end_known = True
    _begin_period(subscription, now)
    finish(events.SUBSCRIPTION_REACTIVATED, actor=actor, subscription=subscription, watch=watch, now=now)
    invoice = _bill(actor=actor, subscription=subscription, now=now)
    return subscription if invoice.total_minor else activate(actor=actor, subscription=subscription, now=now)


def _begin_period(subscription: Subscription, now: datetime) -> None:
    """Count periods from now on."""
    period = cadence_of(subscription).period_from(now)
    subscription.billing_anchor = period.start
    subscription.current_period_start, subscription.current_period_end = period.start, period.end


def _bill(
    *,
    actor: Actor,
    subscription: Subscription,
    now: datetime,
    reason: InvoiceReason = InvoiceReason.SUBSCRIPTION_CYCLE,
) -> Invoice:
    """Issue the invoice of the period that began; it is collected as a renewal's is, only the first one waits for the
    customer to pay it."""
    period = Period(subscription.current_period_start, subscription.current_period_end)
    return invoices.issue_for_period(actor=actor, subscription=subscription, period=period, reason=reason, now=now)


def incomplete_deadline(subscription: Subscription) -> datetime:
    """Return until when the first payment is awaited: 24 hours from when it began, or began anew."""
    return subscription.current_period_start + INCOMPLETE_FOR
