"""What time has made due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q

from billing.models import Payment, Refund, Subscription
from billing.models.payments import Transfer
from billing.money_states import IN_FLIGHT
from billing.states import RUNNING, Status
from core.models import Job, JobState

_CHUNK = 500
_OPEN = (JobState.QUEUED, JobState.RUNNING)


def due(now: datetime) -> Iterator[tuple[UUID, datetime]]:
    """Yield (subscription id, end of its period) of what is to be renewed at `now`, the longest overdue first; read in
    small steps by keyset, so that a long list neither fills the memory nor holds a transaction open."""
    rows = Subscription.objects.filter(status__in=RUNNING, current_period_end__lte=now)
    last: tuple[datetime, UUID] | None = None
    while True:
        step = rows
        if last is not None:
            step = rows.filter(Q(current_period_end__gt=last[0]) | Q(current_period_end=last[0], pk__gt=last[1]))
        page = list(step.order_by("current_period_end", "pk").values_list("pk", "current_period_end")[:_CHUNK])
        yield from page
        if len(page) < _CHUNK:
            return
        last = (page[-1][1], page[-1][0])


def is_current(subscription_id: UUID, period_end: datetime) -> bool:
    """Whether the period that ends at `period_end` is still the subscription's."""
    return Subscription.objects.filter(pk=subscription_id, current_period_end=period_end).exists()


def to_start(now: datetime) -> list[UUID]:
    """Return the scheduled subscriptions whose day has come (at most 500)."""
    rows = Subscription.objects.filter(status=Status.SCHEDULED, started_at__lte=now)
    return list(rows.order_by("started_at").values_list("pk", flat=True)[:_CHUNK])


def incomplete(began_before: datetime) -> list[tuple[UUID, datetime]]:
    """Return the subscriptions that wait for a first payment since before that moment, each with when it began, or
    began anew (at most 500)."""
    rows = Subscription.objects.filter(status=Status.INCOMPLETE, current_period_start__lte=began_before)
    return list(rows.order_by("current_period_start").values_list("pk", "current_period_start")[:_CHUNK])


def unanswered_payments(moment: datetime) -> list[UUID]:
    """Return the payments whose answer is not known and that nobody works on (at most 500)."""
    return _unanswered(Payment, moment)


def unanswered_refunds(moment: datetime) -> list[UUID]:
    """Return the refunds whose answer is not known and that nobody works on (at most 500)."""
    return _unanswered(Refund, moment)


def _unanswered(model: type[Transfer], moment: datetime) -> list[UUID]:
    rows = model._default_manager.filter(status__in=IN_FLIGHT, lease_until__lte=moment)
    return list(rows.order_by("lease_until").values_list("pk", flat=True)[:_CHUNK])


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many jobs of renewal and collection there are, how many are still to be done, how many failed for good."""

    total: int
    open: int
    dead: int


def job_counts(since: datetime) -> JobCounts:
    """Count what was enqueued since a moment, or before and is not done."""
    rows = Job.objects.filter(kind__in=["billing.renew_subscription", "billing.collect_invoice"])
    rows = rows.filter(Q(created_at__gte=since) | Q(state__in=_OPEN))
    counts = rows.aggregate(
        total=Count("pk"), open=Count("pk", filter=Q(state__in=_OPEN)), dead=Count("pk", filter=Q(state=JobState.DEAD))
    )
    return JobCounts(**counts)
