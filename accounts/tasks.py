"""Jobs of accounts: mails, and cache entries that could not be written while Redis was away."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from accounts.providers import session_cache
from accounts.services import invitations, mails, sessions
from core import redis
from core.jobs import JobRun, Priority, job
from core.schedules import schedule

FORGET_JOB = "accounts.forget_old_sessions"


@job(mails.JOB, max_attempts=5, backoff=5.0, time_limit=60)
def send_mail(run: JobRun) -> dict[str, Any]:
    """Send one mail to one person."""
    return {"sent": mails.send(run.payload["mail"], UUID(run.payload["user_id"]))}


@job(invitations.JOB, max_attempts=5, backoff=5.0, time_limit=60)
def send_invitation(run: JobRun) -> dict[str, Any]:
    """Make the token of an invitation and send it."""
    return {"sent": invitations.send(UUID(run.payload["invitation_id"]))}


@job(session_cache.DOUBT_JOB, max_attempts=20, backoff=1.0, time_limit=30)
def doubt_sessions(run: JobRun) -> None:
    """Write the doubts that Redis did not take: what it says of these sessions and keys may be older than the truth."""
    if not session_cache.doubt(run.payload["keys"]):
        raise redis.Unavailable("Redis is still away.")


@job(FORGET_JOB, priority=Priority.LOW)
def forget_old_sessions(run: JobRun) -> dict[str, Any]:
    """Delete what is left of sessions that ended a month ago."""
    return {"forgotten": sessions.forget_old(run.now)}


schedule(FORGET_JOB, kind=FORGET_JOB, cron="17 3 * * *")
