"""How a subscription would begin, and what cannot be subscribed to: the rules that creating and previewing share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F

from billing.errors import CurrencyMismatch, MixedIntervals, PriceNotAvailable, TrialAlreadyUsed
from billing.models import Customer, Price, Subscription
from billing.periods import Cadence, Period
from billing.states import Status
from core.actor import Actor
from core.errors import InvalidInput
from core.money import LARGEST_MINOR

LATEST_START = timedelta(days=3653)


@dataclass(frozen=True, slots=True)
class Line:
    """What is subscribed to: `quantity` units of `price`."""

    price: Price
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a new subscription would begin."""

    status: Status
    started_at: datetime
    trial_end: datetime | None
    anchor: datetime
    period: Period


def check_lines(*, actor: Actor, customer: Customer, lines: Sequence[Line]) -> None:
    """Refuse what cannot be subscribed to together. Raises as `create` does."""
    if not lines:
        raise InvalidInput.at("/items", "At least one price is needed.", "required")
    if len({line.price.pk for line in lines}) < len(lines):
        raise InvalidInput.at("/items", "The same price stands there twice: use its quantity.", "duplicate")
    for line in lines:
        check_price(actor=actor, price=line.price, currency=customer.currency)
    if len({(line.price.interval, line.price.interval_count) for line in lines}) > 1:
        raise MixedIntervals("All prices of a subscription must have the same period.")
    check_total(sum(line.price.amount_minor * line.quantity for line in lines), pointer="/items")


def check_total(minor: int, *, pointer: str) -> None:
    """Refuse what would make an invoice larger than any amount may be."""
    if minor > LARGEST_MINOR:
        raise InvalidInput.at(pointer, f"One period may cost {LARGEST_MINOR} minor units at most.", "out_of_range")


def check_price(*, actor: Actor, price: Price, currency: str) -> None:
    """Refuse a price that `actor` cannot choose, or in another currency."""
    is_open = price.is_active and price.product.is_active
    if not is_open or not (price.is_listed or actor.is_staff or actor.is_system):
        raise PriceNotAvailable(f"The price {price.public_id} takes no new subscriptions.", price=price.public_id)
    if price.currency != currency:
        raise CurrencyMismatch(
            f"The price is in {price.currency}, the customer pays in {currency}.", price=price.public_id
        )


def check_trial(*, actor: Actor, customer: Customer, lines: Sequence[Line], trial_days: int | None) -> None:
    """Refuse a trial of another length than the price's, and a second one of a product, unless staff grant it.

    A second trial is refused, not left out: nobody is charged who thought that it was free. Whoever wants to go on
    without one says so by `trial_days` 0. Raises `TrialAlreadyUsed`.
    """
    if trial_days:
        if not (actor.is_staff or actor.is_system):
            raise InvalidInput.at("/trial_days", "Only staff set the length of a trial.", "staff_only")
    elif trial_days is None and any(line.price.trial_days for line in lines):
        tried = Subscription.objects.filter(customer=customer, trial_end__isnull=False)
        tried = tried.exclude(ended_at__lte=F("started_at"))  # cancelled before it began
        if tried.filter(items__price__product__in={line.price.product_id for line in lines}).exists():
            raise TrialAlreadyUsed("Send trial_days 0 to subscribe without a trial.")


def plan(
    *,
    customer: Customer,
    lines: Sequence[Line],
    now: datetime,
    starts_at: datetime | None = None,
    trial_days: int | None = None,
) -> Beginning:
    """Return how the subscription would begin: its status, trial, anchor and first period. Raises `InvalidInput` for a
    start beyond all planning (the calendar ends in 9999)."""
    if starts_at is not None and starts_at > now + LATEST_START:
        raise InvalidInput.at("/starts_at", "It lies more than ten years ahead.", "out_of_range")
    first = lines[0].price
    cadence = Cadence(first.interval, first.interval_count, customer.time_zone)
    started = starts_at if starts_at is not None and starts_at > now else now
    days = max(line.price.trial_days for line in lines) if trial_days is None else trial_days
    trial_end = Cadence("day", 1, customer.time_zone).boundary(started, days) if days else None
    period = Period(started, trial_end) if trial_end else cadence.period_from(started)
    if started > now:
        status = Status.SCHEDULED
    elif trial_end:
        status = Status.TRIALING
    elif any(line.price.amount_minor for line in lines):
        status = Status.INCOMPLETE
    else:
        status = Status.ACTIVE
    return Beginning(status, started, trial_end, trial_end or started, period)
