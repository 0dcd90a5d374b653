"""Writing jobs down, and handing them to the broker once they are committed."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from core import clock, context
from core.actor import Actor
from core.jobs import publishing
from core.jobs.registry import Priority, kind_of
from core.models import Job
from core.relay.wake import wake_after_commit
from core.telemetry.queries import in_bulk

_CHUNK = 500


def enqueue(
    kind: str,
    payload: Mapping[str, Any],
    *,
    actor: Actor,
    unique_key: str | None = None,
    run_at: datetime | None = None,
    priority: Priority | None = None,
    organization_id: UUID | None = None,
) -> Job:
    """Write one job in the present transaction and return it; it is handed to the broker after the commit.

    With a `unique_key` there is exactly one such job, whatever happens at once: the one that exists is returned (until
    it is forgotten, or says by `JobRun.free_key` that nothing could be done).
    `run_at` (aware) is the earliest moment. What staff ask for goes first. Raises LookupError on an unknown kind.
    """
    row = _row(kind, payload, actor, unique_key, run_at, priority, organization_id)
    if unique_key is not None:
        Job.objects.bulk_create([row], ignore_conflicts=True)
        found = Job.objects.get(unique_key=unique_key)
        if found.pk != row.pk:
            return found
        row = found
    else:
        row.save(force_insert=True)
    if row.run_at <= clock.now():
        transaction.on_commit(functools.partial(publishing.publish_committed, row.pk, kind, row.priority))
    return row


def enqueue_many(
    kind: str,
    items: Iterable[tuple[Mapping[str, Any], str | None]],
    *,
    actor: Actor,
    run_at: datetime | None = None,
    priority: Priority | None = None,
    organization_id: UUID | None = None,
) -> int:
    """Write many jobs, each a payload and its unique key; return how many are new. The relay hands them over.

    Runs in the present transaction, or commits every 500 when there is none.
    """
    made, chunk = 0, []
    for payload, unique_key in items:
        chunk.append(_row(kind, payload, actor, unique_key, run_at, priority, organization_id))
        if len(chunk) == _CHUNK:
            made += _insert(chunk)
            chunk = []
    return made + _insert(chunk)


def _insert(rows: list[Job]) -> int:
    if not rows:
        return 0
    with transaction.atomic(), in_bulk():
        for row in rows:
            row.published_at, row.publications = None, 0
        Job.objects.bulk_create(rows, ignore_conflicts=True)
        made = Job.objects.filter(pk__in=[row.pk for row in rows]).count()
        if made:
            wake_after_commit()
    return made


def _row(
    kind: str,
    payload: Mapping[str, Any],
    actor: Actor,
    unique_key: str | None,
    run_at: datetime | None,
    priority: Priority | None,
    organization_id: UUID | None,
) -> Job:
    declared, present, now = kind_of(kind), context.current(), clock.now()
    if priority is None:
        priority = min(declared.priority, Priority.HIGH) if actor.is_staff else declared.priority
    starts = run_at or now
    return Job(
        kind=kind,
        payload=dict(payload),
        priority=priority,
        unique_key=unique_key,
        run_at=starts,
        deadline=starts + declared.deadline if declared.deadline else None,
        max_attempts=declared.max_attempts,
        # Handed over right after the commit; the relay looks after it if that is lost.
        published_at=now if starts <= now else None,
        publications=1 if starts <= now else 0,
        organization_id=organization_id or present.organization_id,
        requested_by_type=str(actor.type),
        requested_by_id=actor.id,
        actor=actor.as_payload(),
        context=present.as_payload(),
    )
