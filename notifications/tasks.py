"""The jobs of notifications: each reads its payload, calls one service, tells what came of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core import clock
from core.jobs import JobRun, Priority, job
from core.schedules import schedule
from notifications.services import digests, mails, retention


@job(mails.JOB, max_attempts=mails.ATTEMPTS, backoff=5.0, time_limit=60)
def send_mail(run: JobRun) -> dict[str, Any]:
    """Send one e-mail."""
    state = mails.send(mail_id=UUID(run.payload["mail_id"]), now=clock.now(), attempt=run.attempt)
    return {"state": str(state)}


@job(digests.JOB, priority=Priority.LOW)
def make_digests(run: JobRun) -> dict[str, Any]:
    """Make the digests that are due."""
    return {"digests": digests.make_due(now=run.now)}


@job(retention.JOB, priority=Priority.LOW)
def purge(run: JobRun) -> dict[str, Any]:
    """Remove what was read long ago."""
    return {"removed": retention.purge(now=run.now)}


# Every quarter of an hour: no zone's eight o'clock lies elsewhere.
schedule(digests.JOB, kind=digests.JOB, cron="*/15 * * * *")
schedule(retention.JOB, kind=retention.JOB, cron="41 3 * * *")
