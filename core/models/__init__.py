"""What the tables of all apps share, and the tables of the ground."""

from __future__ import annotations

from core.models.base import AdminSubmission, AppendOnly, Entity, entities_by_prefix, entities_by_type, with_public_ids
from core.models.cache import MissedInvalidation
from core.models.exports import Export, ExportFormat
from core.models.idempotency import IdempotencyKey, IdempotencyState
from core.models.jobs import Job, JobState, Schedule
from core.models.lease import Lease
from core.models.personal import PersonKey
from core.models.streams import StreamTicket
from core.models.workers import WorkerMark

__all__ = [
    "AdminSubmission",
    "AppendOnly",
    "Entity",
    "Export",
    "ExportFormat",
    "IdempotencyKey",
    "IdempotencyState",
    "Job",
    "JobState",
    "Lease",
    "MissedInvalidation",
    "PersonKey",
    "Schedule",
    "StreamTicket",
    "WorkerMark",
    "entities_by_prefix",
    "entities_by_type",
    "with_public_ids",
]
