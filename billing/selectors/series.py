"""Figures over time, for charts: a few grouped queries over indexed ranges, however many customers there are.

Imported subscriptions whose end nobody knows stand outside of all series, as they stand outside of churn.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import TruncDate, TruncMonth

from billing.models import Payment, Subscription, SubscriptionItem
from billing.money_states import TransferStatus
from billing.selectors.metrics import PER_MONTH
from billing.states import REVENUE, Status
from core.money import round_half_up

_NEVER_BEGAN = (Status.SCHEDULED, Status.INCOMPLETE, Status.INCOMPLETE_EXPIRED)
_AMOUNT = Sum(F("quantity") * F("price__amount_minor"))


@dataclass(frozen=True, slots=True)
class Months:
    """One value for each of some months, oldest first; `firsts` are their first days (UTC)."""

    firsts: tuple[date, ...]
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Days:
    """How many payments succeeded and failed on each of some days (UTC), oldest first."""

    days: tuple[date, ...]
    succeeded: tuple[int, ...]
    failed: tuple[int, ...]


def months_until(now: datetime, count: int) -> tuple[date, ...]:
    """Return the first days of the `count` months up to the one of `now` (UTC), oldest first."""
    last = now.astimezone(UTC).year * 12 + now.astimezone(UTC).month - 1
    return tuple(date(month // 12, month % 12 + 1, 1) for month in range(last - count + 1, last + 1))


def revenue_by_month(*, now: datetime, months: int = 12) -> dict[str, Months]:
    """Return for each currency the monthly recurring revenue at the end of each month, the present one as of `now`.

    Minor units. Counted back from today's figure: less what began since, more what ran then and has ended since, all at
    today's prices. A currency's amounts are added exactly and rounded once, half-up.
    """
    firsts = months_until(now, months)
    start = datetime(firsts[0].year, firsts[0].month, 1, tzinfo=UTC)
    items = SubscriptionItem.objects.order_by()
    today = _by_currency(items.filter(subscription__status__in=REVENUE))
    began = _monthly(items.filter(subscription__status__in=REVENUE, subscription__started_at__gte=start), "began")
    ended = _monthly(
        items.filter(
            subscription__status=Status.CANCELED, subscription__is_end_known=True, subscription__ended_at__gte=start
        ),
        "began",
        "ended",
    )
    found: dict[str, Months] = {}
    for currency in sorted({*today, *(currency for currency, *_ in ended)}):
        values = [
            today.get(currency, Fraction(0))
            - sum((sum_ for (of, since), sum_ in began.items() if of == currency and since > first), Fraction(0))
            + sum(
                (sum_ for (of, since, until), sum_ in ended.items() if of == currency and since <= first < until),
                Fraction(0),
            )
            for first in firsts
        ]
        found[currency] = Months(firsts, tuple(round_half_up(value) for value in values))
    return found


def started_by_month(*, now: datetime, months: int = 12) -> Months:
    """Return how many subscriptions began in each month."""
    firsts = months_until(now, months)
    rows = Subscription.objects.exclude(status__in=_NEVER_BEGAN).filter(is_end_known=True)
    return _counted(rows, "started_at", firsts)


def ended_by_month(*, now: datetime, months: int = 12) -> Months:
    """Return how many subscriptions ended in each month."""
    rows = Subscription.objects.filter(status=Status.CANCELED, is_end_known=True)
    return _counted(rows, "ended_at", months_until(now, months))


def unknown_ends() -> int:
    """Return how many subscriptions ended on a day that nobody knows: no series holds them."""
    return Subscription.objects.filter(status=Status.CANCELED, is_end_known=False).order_by().count()


def payments_by_day(*, now: datetime, days: int = 30) -> Days:
    """Return how many payments succeeded, and how many failed, on each day."""
    today = now.astimezone(UTC).date()
    shown = tuple(today - timedelta(days=back) for back in range(days - 1, -1, -1))
    since = datetime(shown[0].year, shown[0].month, shown[0].day, tzinfo=UTC)
    return Days(
        shown,
        _settled(TransferStatus.SUCCEEDED, "succeeded_at", since, shown),
        _settled(TransferStatus.FAILED, "failed_at", since, shown),
    )


def failed_payments(*, since: datetime, at_most: int = 1000) -> int:
    """Return how many payments have failed after `since`; counts no further than `at_most`."""
    rows = Payment.objects.filter(status=TransferStatus.FAILED, failed_at__gt=since).order_by()
    return rows[:at_most].count()


def _settled(status: str, field: str, since: datetime, days: tuple[date, ...]) -> tuple[int, ...]:
    found = (
        Payment.objects.filter(Q(("status", str(status)), (f"{field}__gte", since)))
        .order_by()
        .annotate(day=TruncDate(field, tzinfo=UTC))
        .values_list("day")
        .annotate(number=Count("id"))
    )
    numbers = Counter(dict(found))
    return tuple(numbers[day] for day in days)


def _by_currency(items: QuerySet[SubscriptionItem]) -> Mapping[str, Fraction]:
    sums: defaultdict[str, Fraction] = defaultdict(Fraction)
    for (currency,), amount in _monthly(items).items():
        sums[currency] += amount
    return sums


def _monthly(items: QuerySet[SubscriptionItem], *by: str) -> dict[tuple[Any, ...], Fraction]:
    """Sum the items' amounts for one month by currency and, as `by` says, by the month in which the subscription
    `began` and `ended`."""
    sources = {"began": "subscription__started_at", "ended": "subscription__ended_at"}
    months = {name: TruncMonth(sources[name], tzinfo=UTC) for name in by}
    rows = (
        items.annotate(**months)
        .values_list("price__currency", *by, "price__interval", "price__interval_count")
        .annotate(amount=_AMOUNT)
    )
    sums: defaultdict[tuple[Any, ...], Fraction] = defaultdict(Fraction)
    for currency, *moments, interval, count, amount in rows:
        key = (currency, *(moment.date() for moment in moments))
        sums[key] += amount * PER_MONTH[interval] / count
    return sums


def _counted(rows: QuerySet[Subscription], field: str, firsts: tuple[date, ...]) -> Months:
    start = datetime(firsts[0].year, firsts[0].month, 1, tzinfo=UTC)
    found = (
        rows.filter(Q((f"{field}__gte", start)))
        .order_by()
        .annotate(month=TruncMonth(field, tzinfo=UTC))
        .values_list("month")
        .annotate(number=Count("id"))
    )
    numbers = {month.date(): number for month, number in found}
    return Months(firsts, tuple(numbers.get(first, 0) for first in firsts))
