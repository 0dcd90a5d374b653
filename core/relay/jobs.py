"""The relay's duties towards jobs: hand over what the broker does not have, take back what died, make what is due."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import structlog
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from kombu import Connection

from core import clock, redis
from core.actor import SYSTEM
from core.events import record
from core.jobs import publishing
from core.jobs.events import JOB_DIED
from core.models import Job, JobState
from core.relay.duties import duty
from core.relay.lease import HeldLease

CHUNK = 500
# After this many seconds a message that was handed over and not taken counts as lost, if the queue is empty; while the
# queue is not, its workers are merely busy, and only a long silence counts.
LOST_SECONDS = 30
LOST_WHEN_BUSY_SECONDS = 600
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
    AND (published_at IS NULL OR published_at < clock_timestamp() - make_interval(secs => %s))
ORDER BY priority, run_at LIMIT %s
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
        cursor.execute(_TO_PUBLISH, [_lost_after(), CHUNK])
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
        Job.objects.filter(pk__in=handed, state=JobState.QUEUED).update(published_at=clock.now())
    return len(handed)


def _lost_after() -> int:
    """Return after how many seconds a message counts as lost."""
    overdue = Job.objects.filter(
        state=JobState.QUEUED, published_at__lt=clock.now() - timedelta(seconds=LOST_SECONDS)
    ).exists()
    return LOST_WHEN_BUSY_SECONDS if overdue and queued_messages() else LOST_SECONDS


def queued_messages() -> int:
    """Return how many messages wait in the broker; 0 also when it cannot be asked."""
    total = 0
    try:
        with current_app.connection_for_read() as broker:
            for name in publishing.QUEUES:
                total += _depth(broker, name)
    except Exception:
        return 0
    return total


def _depth(broker: Connection, name: str) -> int:
    try:
        with broker.channel() as channel:
            declared = channel.queue_declare(queue=name, passive=True)  # type: ignore[attr-defined]
            return int(declared.message_count)
    except Exception as fault:
        # An empty queue of Redis does not exist; its transport tells so in the text, AMQP in the code.
        if getattr(fault, "code", None) == 404 or str(fault.args[:1]) == "('404',)":
            return 0
        raise


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
