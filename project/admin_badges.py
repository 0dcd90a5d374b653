"""Figures in the menu that somebody should act on. Read at most once in 30 seconds, through indexes, with a bound."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from billing.selectors import series
from core import cache, clock
from core.models import Job, JobState

KEPT_SECONDS: Final = 30
COUNTED_AT_MOST: Final = 1000
DAYS_OF_FAILURES: Final = 7


def badges() -> dict[str, int]:
    """Return the badges by name: dead letters, and payments that failed within a week."""
    return dict(cache.remember("figure", "admin:badges", _counted, ttl=KEPT_SECONDS))


def _counted() -> dict[str, int]:
    since = clock.now() - timedelta(days=DAYS_OF_FAILURES)
    return {
        "dead_letters": Job.objects.filter(state=JobState.DEAD).order_by()[:COUNTED_AT_MOST].count(),
        "failed_payments": series.failed_payments(since=since, at_most=COUNTED_AT_MOST),
    }
