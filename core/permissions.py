"""What may be done in operations, and by whom."""

from __future__ import annotations

from core.access import Permission

JOB_VIEW = Permission("core.job.view", "See every job, not only one's own.")
JOB_REPLAY = Permission("core.job.replay", "Queue a dead job again.")
JOB_DISCARD = Permission("core.job.discard", "Discard a dead job.")
SCHEDULE_CHANGE = Permission("core.schedule.change", "Change when a schedule runs, and whether.")
EXPORT_REQUEST = Permission("core.export.request", "Have a list as a file: of the lists that one may see.")
EXPORT_CANCEL = Permission("core.export.cancel", "Cancel an export that one asked for.")
