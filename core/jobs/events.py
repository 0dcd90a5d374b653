"""What happens to jobs."""

from __future__ import annotations

from core.events import EventType

JOB_DIED = EventType("core.job.died", "job", "A job failed for good and waits among the dead letters.")
JOB_REPLAYED = EventType("core.job.replayed", "job", "A dead job was queued again.")
JOB_DISCARDED = EventType("core.job.discarded", "job", "A dead job was discarded.")
SCHEDULE_CHANGED = EventType("core.schedule.changed", "schedule", "A schedule was changed.")
