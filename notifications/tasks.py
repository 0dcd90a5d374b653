"""The jobs of notifications: each reads its payload, calls one service, tells what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from core import clock
from core.jobs import JobRun, Priority, job
from core.schedules import schedule
from notifications.models import WebhookEndpoint
from notifications.services import (
    digests,
    mails,
    reminders,
    retention,
    webhook_deliveries,
    webhook_dispatch,
    webhook_replays,
)


@job(mails.JOB, max_attempts=mails.ATTEMPTS, backoff=5.0, time_limit=60)
def send_mail(run: JobRun) -> dict[str, Any]:
    """Send one e-mail."""
    state = mails.send(mail_id=UUID(run.payload["mail_id"]), now=clock.now(), attempt=run.attempt)
    return {"state": str(state)}


@job(digests.JOB, priority=Priority.LOW)
def make_digests(run: JobRun) -> dict[str, Any]:
    """Make the digests that are due."""
    return {"digests": digests.make_due(now=run.now)}


@job(reminders.JOB, priority=Priority.LOW)
def remind(run: JobRun) -> dict[str, Any]:
    """Tell of API keys that expire within a week."""
    return {"told": reminders.remind_of_expiring_keys(now=run.now)}


@job(retention.JOB, priority=Priority.LOW)
def purge(run: JobRun) -> dict[str, Any]:
    """Remove what was read long ago."""
    return {"removed": retention.purge(now=run.now)}


@job(webhook_deliveries.DELIVER, max_attempts=10, backoff=5.0, time_limit=90)
def deliver_webhook(run: JobRun) -> dict[str, Any]:
    """Send one delivery once; its next attempt is another job."""
    key = UUID(run.payload["delivery_id"])
    delivery = webhook_deliveries.attempt(delivery_id=key, job_id=run.job_id, now=run.now)
    return {"status": delivery.status if delivery else "superseded"}


@job(webhook_replays.RECOVER, max_attempts=5)
def recover_webhooks(run: JobRun) -> dict[str, Any]:
    """Queue what an endpoint missed."""
    endpoint = WebhookEndpoint.objects.get(pk=run.payload["endpoint_id"])
    since, until = (datetime.fromisoformat(run.payload[name]) for name in ("since", "until"))
    return {"queued": webhook_replays.requeue(endpoint, since=since, until=until, now=run.now)}


@job(webhook_dispatch.FORGET_JOB, priority=Priority.LOW, time_limit=1800)
def forget_old_webhooks(run: JobRun) -> dict[str, Any]:
    """Delete deliveries that are too old to be sent again."""
    return {"forgotten": webhook_dispatch.forget_old(run.now)}


# Every quarter of an hour: no zone's eight o'clock lies elsewhere.
schedule(digests.JOB, kind=digests.JOB, cron="*/15 * * * *")
schedule(reminders.JOB, kind=reminders.JOB, cron="7 6 * * *")
schedule(retention.JOB, kind=retention.JOB, cron="41 3 * * *")
schedule(webhook_dispatch.FORGET_JOB, kind=webhook_dispatch.FORGET_JOB, cron="51 3 * * *")
