"""Handing jobs to the broker. The broker is only the fast path: what is lost here, the relay hands over again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from uuid import UUID

import structlog
from celery import current_app
from kombu import Connection

from core.jobs.registry import Priority, kinds
from core.models import Job

TASK = "core.run_job"
QUEUES = ("high", "default", "low")
_REST_SECONDS = 5.0
_GRACE_SECONDS = 30

log = structlog.get_logger(__name__)
_rests_until = 0.0


def queue_for(priority: int) -> str:
    """Return the Celery queue of a priority (0 to 9)."""
    return "high" if priority < Priority.NORMAL else "low" if priority > Priority.NORMAL else "default"


def publish(job_id: UUID, kind: str, priority: int) -> None:
    """Hand one message to the broker. Raises what the broker's client raises."""
    limit = kinds[kind].time_limit if kind in kinds else 300
    current_app.send_task(
        TASK,
        args=(str(job_id),),
        queue=queue_for(priority),
        retry=False,
        soft_time_limit=limit,
        time_limit=limit + _GRACE_SECONDS,
    )


def messages_waiting(queues: Iterable[str] = QUEUES) -> int:
    """Return how many messages wait in these queues. Raises what the broker's client raises."""
    with current_app.connection_for_read() as broker:
        return sum(_depth(broker, name) for name in queues)


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


def is_resting() -> bool:
    """Whether the broker failed this process a moment ago and is left alone."""
    return time.monotonic() < _rests_until


def rest() -> None:
    """Leave the broker alone for a few seconds: what else is to be done must not wait for it again and again."""
    global _rests_until
    _rests_until = time.monotonic() + _REST_SECONDS


def publish_committed(job_id: UUID, kind: str, priority: int) -> None:
    """Hand over a job that was just committed. Never fails: without a broker the relay does it later. After a failure
    this process does not try for a few seconds, so that requests do not wait for a broker that is down."""
    if not is_resting():
        try:
            publish(job_id, kind, priority)
            return
        except Exception as fault:
            rest()
            log.warning("job_not_published", job_id=str(job_id), kind=kind, fault=repr(fault))
    Job.objects.filter(pk=job_id, state="queued").update(published_at=None)
