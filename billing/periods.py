"""Calendar arithmetic of billing periods: month ends, anchors, the customer's zone, daylight saving.

Every boundary is counted from the anchor, never from the boundary before, so that 31 January, 28 February, 31 March
follow each other and the day never wanders. Counting is done on the wall clock of the customer's zone: a period that
begins at 09:00 ends at 09:00, also when the clocks changed between. A wall time that the spring change skips is moved
past the gap, one that the autumn change repeats is its first occurrence (PEP 495, fold 0).
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open span of time, UTC: `start` belongs to it, `end` to the next one."""

    start: datetime
    end: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often: `count` times `interval` (day, week, month, year), in an IANA `zone`."""

    interval: str
    count: int
    zone: str = "UTC"

    def boundary(self, anchor: datetime, number: int) -> datetime:
        """Return the moment (UTC) `number` periods after `anchor`; negative numbers lie before it."""
        zone = ZoneInfo(self.zone)
        local = anchor.astimezone(zone)
        if self.interval in ("day", "week"):
            days = number * self.count * (7 if self.interval == "week" else 1)
            moved = local.replace(tzinfo=None) + timedelta(days=days)
        else:
            months = number * self.count * (12 if self.interval == "year" else 1)
            moved = add_months(local.replace(tzinfo=None), months)
        if number == 0:
            return anchor.astimezone(UTC)
        return moved.replace(tzinfo=zone, fold=0).astimezone(UTC)

    def period_at(self, anchor: datetime, moment: datetime) -> Period:
        """Return the period, counted from `anchor`, in which `moment` lies (also one before the anchor)."""
        number = self._estimate(anchor, moment)
        while self.boundary(anchor, number) > moment:
            number -= 1
        # Where a zone skipped a whole day two boundaries are one moment: the empty period between is passed over.
        while self.boundary(anchor, number + 1) <= moment:
            number += 1
        return Period(self.boundary(anchor, number), self.boundary(anchor, number + 1))

    def period_from(self, anchor: datetime) -> Period:
        """Return the first period: the one that begins at `anchor`."""
        return self.period_at(anchor, anchor)

    def next_period(self, anchor: datetime, end: datetime) -> Period:
        """Return the period that follows the one that ended at `end`: it begins there and ends at the first boundary
        after, also when `end` is none of the anchor's boundaries (the plan changed its interval)."""
        return Period(end, self.period_at(anchor, end).end)

    def _estimate(self, anchor: datetime, moment: datetime) -> int:
        """A number of periods near the right one, so that the search is short."""
        if self.interval in ("day", "week"):
            return (moment - anchor).days // (self.count * (7 if self.interval == "week" else 1))
        months = (moment.year - anchor.year) * 12 + moment.month - anchor.month
        return months // (self.count * (12 if self.interval == "year" else 1))


def add_months(moment: datetime, months: int) -> datetime:
    """Return `moment` moved by calendar months; a day that the month does not have becomes its last."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
