"""The relay's duties towards jobs: hand over what the broker does not have, take back what died, make what is due."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from core import clock, redis
from core.actor import SYSTEM
from core.events import record
from core.jobs import publishing
from core.jobs.events import JOB_DIED
from core.jobs.registry import Priority
from core.models import Job, JobState
from core.relay.duties import duty
from core.relay.lease import HeldLease

CHUNK = 500
# After this many seconds a message that was handed over and not taken counts as lost, if the queues are empty or a
# later one was taken; else the workers are merely busy, and only a long silence counts.
LOST_SECONDS = 30
LOST_WHEN_BUSY_SECONDS = 600
_SKEW = timedelta(seconds=5)  # between a message and its `published_at`
_MARK = "countinghouse:relay:was-here"

log = structlog.get_logger(__name__)

_REQUEUE = """
UPDATE core_job SET state = 'queued', lease_until = NULL, published_at = NULL, run_at = clock_timestamp(),
    updated_at = clock_timestamp()
WHERE id IN (
    SELECT id FROM core_job WHERE state = 'running' AND lease_until < clock_timestamp() AND attempts < max_attempts
    ORDER BY lease_until LIMIT 500 FOR UPDATE SKIP LOCKED)
RETURNING id, kind
"""
_TO_PUBLISH = """
SELECT id, kind, priority FROM core_job
WHERE state = 'queued' AND run_at <= clock_timestamp()
    AND (published_at IS NULL OR published_at < CASE
        WHEN priority < %(normal)s THEN %(high)s WHEN priority > %(normal)s THEN %(low)s ELSE %(default)s END)
ORDER BY priority, run_at LIMIT %(limit)s
"""
_LEASE_LOST = {
    "code": "worker_lost",
    "title": "The worker died or hung",
    "status": 500,
    "detail": "The worker that ran the last attempt did not renew its lease.",
}


@duty("take back jobs", every=5, order=30)
def take_back(lease: HeldLease) -> int:
    """Queue again the jobs whose worker died; those without an attempt left go to the dead letters."""
    with transaction.atomic():
        lease.hold()
        dead = _bury_exhausted()
        with connection.cursor() as cursor:
            cursor.execute(_REQUEUE)
            rows = cursor.fetchall()
    for job_id, kind in rows:
        log.warning("job_taken_back", job_id=str(job_id), kind=kind)
    return len(rows) + dead


def _bury_exhausted() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    expired = Job.objects.filter(state=JobState.RUNNING, lease_until__lt=now).select_for_update(skip_locked=True)
    exhausted = [job for job in expired.order_by("lease_until")[:CHUNK] if job.attempts >= job.max_attempts]
    for job in exhausted:
        job.state, job.error, job.finished_at, job.lease_until = JobState.DEAD, _LEASE_LOST, now, None
        job.save(update_fields=["state", "error", "finished_at", "lease_until"])
        data = {"kind": job.kind, "attempts": job.attempts, "code": _LEASE_LOST["code"]}
        record(JOB_DIED, actor=SYSTEM, subject=job, data=data)
        log.error("job_died", job_id=job.public_id, kind=job.kind, code=_LEASE_LOST["code"])
    return len(exhausted)


@duty("recall jobs", every=1, order=35)
def recall_forgotten(lease: HeldLease) -> int:
    """Publish again what a broker had that came back without its memory: a mark of ours in it is gone too. Otherwise
    each message would be missed after half a minute only, or later while the queue is busy."""
    if not settings.BROKER_IS_OUR_REDIS:
        return 0
    try:
        if redis.ask(lambda server: server.exists(_MARK)):
            return 0
        with transaction.atomic():
            lease.hold()
            forgotten = Job.objects.filter(state=JobState.QUEUED, published_at__isnull=False)
            count = forgotten.update(published_at=None)
        redis.ask(lambda server: server.set(_MARK, b"1"))
    except redis.Unavailable:
        return 0
    if count:
        log.warning("jobs_recalled", count=count)
    return count


@duty("publish jobs", order=40)
def publish_due(lease: HeldLease) -> int:
    """Hand over what is due and not with the broker; return how many. With the broker down nothing is marked.

    No transaction is open meanwhile: a message handed over twice does nothing, one that is not may be lost. A broker
    that failed is left alone for a few seconds, so that it does not hold up the other duties.
    """
    if publishing.is_resting():
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_TO_PUBLISH, {**_lost_before(), "normal": Priority.NORMAL, "limit": CHUNK})
        rows = cursor.fetchall()
    if not rows:
        return 0
    handed: list[UUID] = []
    for job_id, kind, priority in rows:
        try:
            publishing.publish(job_id, kind, priority)
        except Exception as fault:
            publishing.rest()
            log.warning("broker_unreachable", fault=repr(fault)[:300], waiting=len(rows) - len(handed))
            break
        handed.append(job_id)
    with transaction.atomic():
        lease.hold()
        Job.objects.filter(pk__in=handed, state=JobState.QUEUED).update(
            published_at=clock.now(), publications=F("publications") + 1
        )
    return len(handed)


def _lost_before() -> dict[str, datetime]:
    """Return for each queue: a message handed over before this moment, and not taken, counts as lost.

    While messages wait, the workers may be busy, and half a minute of silence proves nothing. But a queue is emptied in
    order: when a job runs whose only message came later, this one was taken too, by a worker that died with it.
    """
    now = clock.now()
    soon, late = (now - timedelta(seconds=each) for each in (LOST_SECONDS, LOST_WHEN_BUSY_SECONDS))
    overdue = Job.objects.filter(state=JobState.QUEUED, published_at__lt=soon).exists()
    if not overdue or not queued_messages():
        return dict.fromkeys(publishing.QUEUES, soon)
    lost = dict.fromkeys(publishing.QUEUES, late)
    once = Job.objects.filter(state=JobState.RUNNING, publications=1)
    for priority, published_at in once.values_list("priority", "published_at"):
        if published_at is not None:
            name = publishing.queue_for(priority)
            lost[name] = max(lost[name], min(soon, published_at - _SKEW))
    return lost


def queued_messages() -> int:
    """Return how many messages wait in the broker; 0 also when it cannot be asked."""
    try:
        return publishing.messages_waiting()
    except Exception:
        return 0


@duty("job retention", every=3600, order=95)
def forget_finished(lease: HeldLease) -> int:
    """Delete jobs that ended well longer ago than JOB_RETENTION_DAYS, 500 at a time; dead ones stay."""
    horizon = clock.now() - timedelta(days=settings.JOB_RETENTION_DAYS)
    total = 0
    while True:
        with transaction.atomic():
            lease.hold()
            old = Job.objects.filter(state__in=[JobState.SUCCEEDED, JobState.DISCARDED], finished_at__lt=horizon)
            ids = list(old.order_by("finished_at").values_list("pk", flat=True)[:CHUNK])
            Job.objects.filter(pk__in=ids).delete()
        total += len(ids)
        if len(ids) < CHUNK:
            return total
