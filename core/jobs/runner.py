"""Running one job: claim it, hold its lease, call the handler outside of a transaction, write down what came of it."""

from __future__ import annotations

import random
import traceback
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import F

from core import clock, context
from core.actor import SYSTEM, Actor
from core.context import Context
from core.errors import AppError
from core.events import record
from core.jobs.events import JOB_DIED
from core.jobs.leases import LEASE_SECONDS, Heartbeat, report
from core.jobs.registry import JobRun, LeaseLost, kind_of
from core.models import Job, JobState
from core.telemetry import logs

_LONGEST_WAIT = 3600.0
_TRACEBACK_LINES = 30

log = structlog.get_logger(__name__)

_CLAIM = f"""
UPDATE core_job SET state = 'running', attempts = attempts + 1, token = token + 1, version = version + 1,
    lease_until = clock_timestamp() + interval '{LEASE_SECONDS} seconds', updated_at = clock_timestamp(),
    started_at = coalesce(started_at, clock_timestamp())
WHERE id = %s AND state = 'queued' AND run_at <= %s
RETURNING id
"""  # noqa: S608 - no outside value is put in


def run_inline(job_id: UUID, *, now: datetime | None = None) -> Job | None:
    """Run one attempt of a due job in this process and return the job; None when it is not due, finished, or in other
    hands (a message delivered twice does nothing). Called by the Celery task, and by tests."""
    moment = now or clock.now()
    job = _claim(job_id, moment)
    if job is None:
        return None
    if job.deadline is not None and moment > job.deadline:
        _bury(job, {"code": "deadline_passed", "title": "The deadline has passed", "status": 504})
        return _fresh(job)
    payload = job.context | {"organization_id": str(job.organization_id) if job.organization_id else None}
    with (
        context.use(Context.from_payload(payload, source="job")),
        logs.bound(job=job.public_id, job_kind=job.kind, actor=_principal(job)),
    ):
        _attempt(job, moment)
    return _fresh(job)


def _principal(job: Job) -> str:
    return Actor.from_payload(job.actor).principal if job.actor else SYSTEM.principal


def drain(now: datetime | None = None, *, limit: int = 10_000) -> int:
    """Run what is due at `now`, in the order of priority, until nothing is; return how many attempts were made. For
    tests and for the command line; the same runner as in production. Jobs that the handlers enqueue run too."""
    attempts = 0
    while attempts < limit:
        moment = now or clock.now()
        due = Job.objects.filter(state=JobState.QUEUED, run_at__lte=moment).order_by("priority", "run_at", "id")
        batch = list(due.values_list("pk", flat=True)[:200])
        if not batch:
            break
        attempts += sum(run_inline(job_id, now=now) is not None for job_id in batch)
    return attempts


def _claim(job_id: UUID, moment: datetime) -> Job | None:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [job_id, moment])
        claimed = cursor.fetchone() is not None
    return Job.objects.get(pk=job_id) if claimed else None


def _attempt(job: Job, moment: datetime) -> None:
    started = clock.now()
    try:
        kind = kind_of(job.kind)
        run = JobRun(
            job_id=job.pk,
            payload=job.payload,
            actor=Actor.from_payload(job.actor) if job.actor else SYSTEM,
            context=context.current(),
            now=moment,
            attempt=job.attempts,
            _report=lambda done, total: report(job.pk, job.token, done, total),
        )
        with Heartbeat(job.pk, job.token, kind.time_limit):
            result = kind.handler(run)
        _succeed(job, result, run)
    except LeaseLost:
        log.warning("job_lease_lost", job_id=job.public_id, kind=job.kind)
    except AppError as error:
        _fail(job, problem_of(error), moment, may_retry=error.is_retryable)
    except Exception as error:
        log.exception("job_crashed", job_id=job.public_id, kind=job.kind, attempt=job.attempts)
        _fail(job, crash_of(error), moment, may_retry=True)
    else:
        seconds = round((clock.now() - started).total_seconds(), 3)
        log.info("job_succeeded", job_id=job.public_id, kind=job.kind, attempt=job.attempts, seconds=seconds)


def problem_of(error: AppError) -> dict[str, Any]:
    """Return an expected error as the members of a problem document."""
    problem = {"code": error.code, "title": error.title, "status": error.status, "detail": error.detail}
    if error.faults:
        problem["errors"] = [fault.as_payload() for fault in error.faults]
    return problem


def crash_of(error: Exception) -> dict[str, Any]:
    """Return an unexpected exception as a problem; `exception` and `traceback` are for staff only."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return {
        "code": "internal_error",
        "title": "Something went wrong",
        "status": 500,
        "exception": f"{type(error).__name__}: {error}"[:500].replace("\x00", "\ufffd"),
        "traceback": "\n".join(lines[-_TRACEBACK_LINES:]).replace("\x00", "\ufffd"),
    }


def backoff_for(base: float, attempts: int) -> timedelta:
    """Return how long to wait after `attempts` failures: full jitter over a window that doubles, an hour at most."""
    window = min(base * 2 ** min(attempts - 1, 20), _LONGEST_WAIT)
    return timedelta(seconds=random.uniform(0, window))  # noqa: S311 - spreads load, hides nothing


def _succeed(job: Job, result: dict[str, Any] | None, run: JobRun) -> None:
    freed: dict[str, Any] = {"unique_key": None} if run.is_key_freed else {}
    _finish(job, state=JobState.SUCCEEDED, result=result, error=None, **freed)


def _fail(job: Job, problem: dict[str, Any], moment: datetime, *, may_retry: bool) -> None:
    if not may_retry or job.attempts >= job.max_attempts:
        _bury(job, problem)
        return
    try:
        base = kind_of(job.kind).backoff
    except LookupError:
        base = 30.0  # a kind that only a newer release knows: leave it time to arrive
    run_at = moment + backoff_for(base, job.attempts)
    if _write(job, state=JobState.QUEUED, run_at=run_at, published_at=None, lease_until=None, error=problem):
        log.warning("job_failed", job_id=job.public_id, kind=job.kind, attempt=job.attempts, code=problem["code"])


def _bury(job: Job, problem: dict[str, Any]) -> None:
    """Move a job to the dead letters, with an event, in one transaction."""
    with transaction.atomic():
        if not _finish(job, state=JobState.DEAD, error=problem):
            return
        data = {"kind": job.kind, "attempts": job.attempts, "code": problem["code"]}
        record(JOB_DIED, actor=SYSTEM, subject=job, data=data)
    log.error("job_died", job_id=job.public_id, kind=job.kind, attempts=job.attempts, code=problem["code"])


def _finish(job: Job, **values: Any) -> bool:
    return _write(job, finished_at=clock.now(), lease_until=None, **values)


def _write(job: Job, **values: Any) -> bool:
    """Write what came of the attempt, unless another worker holds a newer token by now."""
    mine = Job.objects.filter(pk=job.pk, token=job.token, state=JobState.RUNNING)
    written = mine.update(updated_at=clock.now(), version=F("version") + 1, **values) == 1
    if not written:
        log.warning("job_lease_lost", job_id=job.public_id, kind=job.kind)
    return written


def _fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)
