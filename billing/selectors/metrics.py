"""The business figures, per billing entity or for all: computed by the database in one pass each.

* Monthly recurring revenue (MRR): what active and past due subscriptions are worth a month. A yearly price counts by
  1/12, a weekly one by 52/12, a daily one by 365/12 of its amount. Amounts are summed as exact fractions and rounded
  once per currency, half-up. Trials count nothing; a past due one counts, as it is still expected to be paid.
* Churn: subscriptions that ended in the window, by those that ran at its beginning. Imported subscriptions whose end is
  not known are outside of both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from uuid import UUID

from django.db.models import Count, Q, Sum

from billing.models import Payment, Price, Subscription, SubscriptionItem
from billing.states import REVENUE, Status
from core.money import Money, round_half_up

WINDOW = timedelta(days=30)

# How many such intervals make a month.
PER_MONTH: dict[str, Fraction] = {
    "day": Fraction(365, 12),
    "week": Fraction(52, 12),
    "month": Fraction(1),
    "year": Fraction(1, 12),
}
_PAYING = sorted(status.value for status in REVENUE)
_NEVER_RAN = [Status.SCHEDULED.value, Status.INCOMPLETE.value, Status.INCOMPLETE_EXPIRED.value]


@dataclass(frozen=True, slots=True)
class Churn:
    """Of `at_start` subscriptions that ran when the window began, `ended` have ended in it."""

    since: datetime
    at_start: int
    ended: int

    @property
    def rate(self) -> Fraction | None:
        """Ended by at start; None when none ran."""
        return Fraction(self.ended, self.at_start) if self.at_start else None


@dataclass(frozen=True, slots=True)
class Metrics:
    """The figures of one moment."""

    as_of: datetime
    monthly_recurring_revenue: list[Money]
    subscriptions_by_status: dict[str, int]
    active_subscriptions: int
    active_customers: int
    new_subscriptions: int
    churn: Churn
    failed_payments: int


def metrics(*, now: datetime, billing_entity_id: UUID | None = None) -> Metrics:
    """Return the figures as they stand; `new`, `churn` and `failed_payments` look back 30 days from `now`.

    Active are the subscriptions that count into recurring revenue: `active` and `past_due`.
    """
    subscriptions = Subscription.objects.order_by()
    payments = Payment.objects.filter(status="failed", failed_at__gt=now - WINDOW, failed_at__lte=now)
    if billing_entity_id is not None:
        subscriptions = subscriptions.filter(billing_entity_id=billing_entity_id)
        payments = payments.filter(billing_entity_id=billing_entity_id)
    counts = dict(subscriptions.values_list("status").annotate(Count("id")))
    paying = subscriptions.filter(status__in=_PAYING)
    began = subscriptions.filter(started_at__gt=now - WINDOW, started_at__lte=now).exclude(status__in=_NEVER_RAN)
    return Metrics(
        as_of=now,
        monthly_recurring_revenue=monthly_recurring_revenue(billing_entity_id),
        subscriptions_by_status={status.value: counts.get(status.value, 0) for status in Status},
        active_subscriptions=sum(counts.get(status, 0) for status in _PAYING),
        active_customers=paying.values("customer_id").distinct().count(),
        new_subscriptions=began.count(),
        churn=churn(now, billing_entity_id),
        failed_payments=payments.count(),
    )


def monthly_recurring_revenue(billing_entity_id: UUID | None = None) -> list[Money]:
    """Return what running subscriptions are worth a month, one amount per currency, in order of currency."""
    items = SubscriptionItem.objects.filter(subscription__status__in=_PAYING)
    if billing_entity_id is not None:
        items = items.filter(subscription__billing_entity_id=billing_entity_id)
    quantities = items.order_by().values_list("price_id").annotate(Sum("quantity"))
    sums: dict[str, Fraction] = {}
    for currency, interval, count, minor in _worth(dict(quantities)):
        sums[currency] = sums.get(currency, Fraction(0)) + minor * PER_MONTH[interval] / count
    return [Money(round_half_up(sums[currency]), currency) for currency in sorted(sums)]


def _worth(quantities: dict[UUID, int]) -> Iterator[tuple[str, str, int, Fraction]]:
    """Yield currency, interval, interval count and the amount of all units, for each price."""
    known = Price.objects.in_bulk(list(quantities))
    for price_id, quantity in quantities.items():
        price = known[price_id]
        yield price.currency, price.interval, price.interval_count, Fraction(price.amount_minor * quantity)


def churn(now: datetime, billing_entity_id: UUID | None = None) -> Churn:
    """Return the churn of the last 30 days."""
    since = now - WINDOW
    ran = Subscription.objects.filter(is_end_known=True, started_at__lte=since).exclude(status__in=_NEVER_RAN)
    if billing_entity_id is not None:
        ran = ran.filter(billing_entity_id=billing_entity_id)
    ran = ran.filter(Q(ended_at__isnull=True) | Q(ended_at__gt=since))
    figures = ran.aggregate(at_start=Count("id"), ended=Count("id", filter=Q(ended_at__lte=now)))
    return Churn(since, figures["at_start"], figures["ended"])


def decimal_text(rate: Fraction | None, places: int = 6) -> str | None:
    """Return a fraction as decimal text ("0.012500"), rounded half-up."""
    if rate is None:
        return None
    digits = f"{round_half_up(rate * 10**places):0{places + 1}d}"
    return f"{digits[:-places]}.{digits[-places:]}"
