"""Jobs that take a while and leave a trace for each time they are done."""

from __future__ import annotations

import time
from uuid import UUID

from django.db import transaction

import audit
from core.events import EventType, Subject
from core.jobs import JobRun, job

DONE = EventType("tests.work.done", "work", "A piece of work was done.")


@job("tests.slow", max_attempts=20)
def slow(run: JobRun) -> dict[str, int]:
    """Sleep `seconds`, then record one event about the piece of work `id`."""
    time.sleep(run.payload.get("seconds", 0))
    with transaction.atomic():
        audit.record(DONE, actor=run.actor, subject=Subject("work", UUID(run.payload["id"])))
    return {"attempt": run.attempt}
