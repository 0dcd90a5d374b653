"""Schedules: jobs made again and again. Declared in code; staff may change when, and whether."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from croniter import croniter
from django.db import transaction

from core import clock, context, jobs
from core.actor import SYSTEM
from core.context import Context
from core.models import Schedule
from core.relay.duties import duty
from core.relay.lease import HeldLease

declared: dict[str, Declared] = {}


@dataclass(frozen=True, slots=True)
class Declared:
    """A schedule as an app declares it; the row that is made of it once is what counts from then on."""

    name: str
    kind: str
    cron: str
    payload: Mapping[str, Any] = field(default_factory=dict)


def schedule(name: str, *, kind: str, cron: str, payload: Mapping[str, Any] | None = None) -> None:
    """Declare that a job of `kind` is made at each moment of `cron` (five fields, UTC). Call it in
    `AppConfig.ready()`. Raises ValueError on a malformed expression."""
    next_after(cron, clock.now())
    known = declared.get(name)
    assert known is None or known.kind == kind, f"schedule {name} is declared twice"
    declared[name] = Declared(name, kind, cron, payload or {})


def next_after(cron: str, moment: datetime) -> datetime:
    """Return the first moment of `cron` after `moment`. Raises ValueError on a malformed expression."""
    if len(cron.split()) != 5:
        raise ValueError(f"{cron!r} is not a cron expression of five fields.")
    following: datetime = croniter(cron, moment).get_next(datetime)
    return following


@duty("schedules", order=35)
def make_due_jobs(lease: HeldLease) -> int:
    """Make one job for each enabled schedule that is due. Moments missed while no relay ran make one job, not many."""
    now = clock.now()
    with transaction.atomic():
        lease.hold()
        _introduce(now)
        due = Schedule.objects.select_for_update().filter(is_enabled=True, next_run_at__lte=now).order_by("next_run_at")
        made = 0
        for row in due[:100]:
            made += run_due(row, now)
    return made


def run_due(row: Schedule, now: datetime) -> int:
    """Make the job of one due schedule and set its next moment; a kind that no app declares any more is passed over."""
    known = row.kind in jobs.kinds
    if known:
        key = f"schedule:{row.name}:{row.next_run_at.isoformat()}"
        with context.use(Context(source="schedule")):
            jobs.enqueue(row.kind, row.payload, actor=SYSTEM, unique_key=key)
        row.last_run_at = now
    row.next_run_at = next_after(row.cron, now)
    row.save(update_fields=["next_run_at", "last_run_at"])
    return int(known)


def _introduce(now: datetime) -> None:
    """Make rows for schedules that were declared since; a change that staff made stays."""
    known = set(Schedule.objects.filter(name__in=declared).values_list("name", flat=True))
    Schedule.objects.bulk_create(
        [
            Schedule(
                name=new.name,
                kind=new.kind,
                cron=new.cron,
                payload=dict(new.payload),
                next_run_at=next_after(new.cron, now),
            )
            for new in declared.values()
            if new.name not in known
        ],
        ignore_conflicts=True,
    )
