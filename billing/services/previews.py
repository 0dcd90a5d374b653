"""What subscribing or changing the plan would cost: the rules of the commands, and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from billing.models import Customer, Price, Subscription
from billing.permissions import SUBSCRIPTION_VIEW
from billing.selectors.subscriptions import Preview, PreviewLine, first_invoice, next_invoice
from billing.services.beginnings import Line, check_lines, check_price, check_total, check_trial, plan
from billing.services.lifecycle import cadence_of
from billing.services.subscriptions import only_item
from billing.states import target
from core.access import require
from core.actor import Actor


def new_subscription(
    *,
    actor: Actor,
    customer: Customer,
    lines: Sequence[Line],
    now: datetime,
    starts_at: datetime | None = None,
    trial_days: int | None = None,
) -> Preview:
    """Return the first invoice as `create` would bring it about. Writes nothing; raises as `create` does."""
    require(actor, SUBSCRIPTION_VIEW.name, customer)
    check_lines(actor=actor, customer=customer, lines=lines)
    check_trial(actor=actor, customer=customer, lines=lines, trial_days=trial_days)
    begin = plan(customer=customer, lines=lines, now=now, starts_at=starts_at, trial_days=trial_days)
    return first_invoice(
        status=begin.status,
        lines=[PreviewLine(line.price, line.quantity) for line in lines],
        anchor=begin.anchor,
        trial_end=begin.trial_end,
        time_zone=customer.time_zone,
    )


def plan_change(*, actor: Actor, subscription: Subscription, price: Price, quantity: int | None = None) -> Preview:
    """Return the invoice of the next renewal as `change_plan` would make it. Writes nothing; raises as it does."""
    require(actor, SUBSCRIPTION_VIEW.name, subscription)
    status = target(subscription, "change_plan")
    check_price(actor=actor, price=price, currency=subscription.currency)
    line = PreviewLine(price, quantity or only_item(subscription).quantity)
    check_total(line.amount_minor, pointer="/quantity")
    return next_invoice(
        status=status,
        lines=[line],
        anchor=subscription.billing_anchor,
        period_end=subscription.current_period_end,
        old=cadence_of(subscription),
    )
