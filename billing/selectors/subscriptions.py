"""What a subscription would cost, before anybody commits to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.models import Price
from billing.periods import Cadence, Period
from core.money import Money, total


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """One line of the invoice to come."""

    price: Price
    quantity: int

    @property
    def amount_minor(self) -> int:
        return self.price.amount_minor * self.quantity


@dataclass(frozen=True, slots=True)
class Preview:
    """The first invoice (or the next one) as it would be: due at `billed_at`, for `period`."""

    status: str
    lines: Sequence[PreviewLine]
    currency: str
    period: Period
    trial_end: datetime | None = None

    @property
    def total_minor(self) -> int:
        return total((Money(line.amount_minor, self.currency) for line in self.lines), self.currency).minor

    @property
    def billed_at(self) -> datetime:
        return self.period.start

    @property
    def period_start(self) -> datetime:
        return self.period.start

    @property
    def period_end(self) -> datetime:
        return self.period.end


def first_invoice(
    *, status: str, lines: Sequence[PreviewLine], anchor: datetime, trial_end: datetime | None, time_zone: str
) -> Preview:
    """Return the first invoice of a new subscription: that of the period which begins at its anchor."""
    price = lines[0].price
    period = Cadence(price.interval, price.interval_count, time_zone).period_from(anchor)
    return Preview(status, lines, price.currency, period, trial_end)


def next_invoice(
    *, status: str, lines: Sequence[PreviewLine], anchor: datetime, period_end: datetime, old: Cadence
) -> Preview:
    """Return the invoice after the next renewal, when `lines` apply from then on."""
    price = lines[0].price
    cadence = Cadence(price.interval, price.interval_count, old.zone)
    period = cadence.next_period(anchor if cadence == old else period_end, period_end)
    return Preview(status, lines, price.currency, period)
