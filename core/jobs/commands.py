"""What staff do with jobs and schedules."""

from __future__ import annotations

import functools
from datetime import datetime

from django.db import transaction

from core.access import allows, require
from core.actor import Actor
from core.commands import command
from core.errors import Forbidden, InvalidInput, InvalidTransition
from core.events import record
from core.jobs import publishing
from core.jobs.events import JOB_DISCARDED, JOB_REPLAYED, SCHEDULE_CHANGED
from core.models import Job, JobState, Schedule

ALLOWED: dict[str, tuple[str, ...]] = {JobState.DEAD: ("replay", "discard")}


@command("core.job.replay")
def replay(*, actor: Actor, job: Job, now: datetime) -> Job:
    """Queue a dead job again with all its attempts; its deadline no longer counts. Writes `core.job.replayed`.
    Raises InvalidTransition when the job is not dead."""
    job = _dead(actor, job, "replay")
    before = {"state": job.state, "attempts": job.attempts}
    job.state, job.attempts, job.run_at, job.deadline = JobState.QUEUED, 0, now, None
    job.finished_at, job.published_at = None, now
    job.save()
    data = {"kind": job.kind}
    record(JOB_REPLAYED, actor=actor, subject=job, before=before, after={"state": job.state, "attempts": 0}, data=data)
    transaction.on_commit(functools.partial(publishing.publish_committed, job.pk, job.kind, job.priority))
    return job


@command("core.job.discard")
def discard(*, actor: Actor, job: Job, now: datetime) -> Job:
    """Give a dead job up. Writes `core.job.discarded`. Raises InvalidTransition when the job is not dead."""
    job = _dead(actor, job, "discard")
    before = {"state": job.state}
    job.state, job.finished_at = JobState.DISCARDED, now
    job.save()
    record(JOB_DISCARDED, actor=actor, subject=job, before=before, after={"state": job.state}, data={"kind": job.kind})
    return job


@command("core.schedule.change")
def change_schedule(*, actor: Actor, schedule: Schedule, cron: str, is_enabled: bool, now: datetime) -> Schedule:
    """Set when a schedule runs, and whether. Writes `core.schedule.changed`. Raises InvalidInput on a malformed
    expression."""
    from core.schedules import next_after  # schedules make jobs, so they stand above this package

    schedule = schedule.refreshed_for_update()
    require(actor, "core.schedule.change", schedule)
    try:
        next_run_at = next_after(cron, now)
    except ValueError:
        raise InvalidInput.at("/cron", f"'{cron}' is not a cron expression of five fields.") from None
    before = {"cron": schedule.cron, "is_enabled": schedule.is_enabled}
    schedule.cron, schedule.is_enabled, schedule.next_run_at = cron, is_enabled, next_run_at
    schedule.save()
    after = {"cron": cron, "is_enabled": is_enabled}
    record(SCHEDULE_CHANGED, actor=actor, subject=schedule, before=before, after=after, data={"name": schedule.name})
    return schedule


def _dead(actor: Actor, job: Job, verb: str) -> Job:
    """Return the job locked. Raises Forbidden, NotFound and InvalidTransition."""
    job = job.refreshed_for_update()
    permission = f"core.job.{verb}"
    if not allows(actor, permission, job) and job.is_requested_by(actor):
        raise Forbidden("Only staff may do this.", permission=permission)
    require(actor, permission, job)
    if verb not in ALLOWED.get(job.state, ()):
        raise InvalidTransition(current_status=job.state, command=verb, allowed_commands=ALLOWED.get(job.state, ()))
    return job
