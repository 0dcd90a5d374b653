"""What is done with exports: ask, complete, cancel, download, expire. Each is one command with one event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils.text import slugify

from core import jobs
from core.access import require
from core.actor import SYSTEM, Actor
from core.commands import command
from core.errors import InvalidInput, InvalidTransition, LimitReached, NotFound
from core.events import Subject, record
from core.exports.events import (
    EXPORT_CANCELED,
    EXPORT_COMPLETED,
    EXPORT_DOWNLOADED,
    EXPORT_EXPIRED,
    EXPORT_REQUESTED,
)
from core.exports.listings import Listing
from core.jobs.registry import Priority
from core.models import Export, ExportFormat, Job, JobState

JOB: Final = "core.export"
AT_ONCE: Final = 5


@dataclass(frozen=True, slots=True)
class Written:
    """A file that an attempt has written and stored."""

    key: str
    rows: int
    size: int
    sha256: str


@command("core.export.request")
def request(
    *, actor: Actor, listing: Listing, columns: list[str], file_format: str, has_mark: bool, key: str, now: datetime
) -> Export:
    """Ask for a list as a file and return the export; its job runs as `actor`. The same `key` asks once. Writes
    `core.export.requested`; the reason stands in its context.

    Raises Forbidden, InvalidInput (no column, no such format), LimitReached when five are under way.
    """
    require(actor, "core.export.request")
    if actor.id is None or listing.actor != actor:
        raise InvalidInput("An export belongs to the person who asks.")
    if file_format not in ExportFormat.values:
        raise InvalidInput.at("/file_format", f"Expected one of {', '.join(ExportFormat.values)}.")
    chosen = [column.name for column in listing.chosen(columns)]
    row = Export(
        request_key=f"{actor.principal}:{key}"[:120],
        requested_by_id=actor.id,
        listing=listing.name,
        title=listing.title,
        query=listing.query,
        columns=chosen,
        format=file_format,
        has_mark=has_mark and file_format == ExportFormat.CSV,
    )
    Export.objects.bulk_create([row], ignore_conflicts=True)
    export = Export.objects.get(request_key=row.request_key)
    if export.pk != row.pk:
        return export
    if under_way(actor) > AT_ONCE:
        raise LimitReached(f"{AT_ONCE} of your exports are under way. Wait for one, or cancel one.")
    job = jobs.enqueue(
        JOB, {"export": str(export.pk)}, actor=actor, unique_key=f"{JOB}:{export.pk}", priority=Priority.NORMAL
    )
    export.job_id = job.pk
    export.save(update_fields=["job_id"])
    data = {"listing": export.listing, "query": export.query, "columns": chosen, "format": file_format}
    record(EXPORT_REQUESTED, actor=actor, subject=export, data=data, person=_asker(export))
    return export


def under_way(actor: Actor) -> int:
    """Return how many exports of the actor are queued or being written."""
    alive = Job.objects.filter(pk=OuterRef("job_id"), state__in=[JobState.QUEUED, JobState.RUNNING])
    assert actor.id is not None
    mine = Export.objects.filter(requested_by_id=actor.id, completed_at=None, canceled_at=None)
    return mine.filter(Exists(alive)).count() + mine.filter(job_id=None).count()


@command("core.export.complete")
def complete(*, actor: Actor, export: Export, written: Written, now: datetime) -> Export:
    """Make the stored file the one that can be downloaded, for EXPORT_RETENTION_DAYS. Writes `core.export.completed`
    with name, rows, size, sha256 and the address of the file.

    Raises InvalidTransition when the export ended meanwhile, by cancel or by another attempt.
    """
    export = export.refreshed_for_update()
    state = over(export)
    if state:
        raise InvalidTransition(current_status=state, command="complete", allowed_commands=())
    export.name = f"{slugify(export.title) or 'rows'}-{now:%Y-%m-%d-%H%M}.{export.format}"
    export.file_key, export.rows, export.size, export.sha256 = written.key, written.rows, written.size, written.sha256
    export.completed_at, export.expires_at = now, now + timedelta(days=settings.EXPORT_RETENTION_DAYS)
    export.save()
    data = {
        "name": export.name,
        "rows": export.rows,
        "size": export.size,
        "sha256": export.sha256,
        "url": address(export),
        "expires_at": export.expires_at,
    }
    record(EXPORT_COMPLETED, actor=actor, subject=export, data=data, person=_asker(export))
    return export


@command("core.export.cancel")
def cancel(*, actor: Actor, export: Export, now: datetime) -> Export:
    """Give an export up; the worker stops at its next step. Writes `core.export.canceled`. Raises NotFound when another
    person asked for it, InvalidTransition when it has ended."""
    export = _own(actor, export)
    require(actor, "core.export.cancel", export)
    state = over(export)
    if state:
        raise InvalidTransition(current_status=state, command="cancel", allowed_commands=())
    export.canceled_at = now
    export.save(update_fields=["canceled_at"])
    record(EXPORT_CANCELED, actor=actor, subject=export, after={"canceled_at": now}, person=_asker(export))
    return export


@command("core.export.download")
def download(*, actor: Actor, export: Export, now: datetime) -> Export:
    """Note that the file is being fetched and return the export. Writes `core.export.downloaded`. Raises NotFound when
    another person asked for it, when there is no file, or when its time is up."""
    export = _own(actor, export)
    if not export.file_key or export.expires_at is None or now >= export.expires_at:
        raise NotFound("The file is not there (any more). Ask for the list again.")
    data = {"name": export.name, "rows": export.rows, "sha256": export.sha256}
    record(EXPORT_DOWNLOADED, actor=actor, subject=export, data=data, person=_asker(export))
    return export


@command("core.export.expire")
def expire(*, export: Export, now: datetime, actor: Actor = SYSTEM) -> Export:
    """Note that the files of an export are removed, which the caller did, and forget what narrowed the list, since it
    may name a person. Writes `core.export.expired` when there was a file to download."""
    export = export.refreshed_for_update()
    if export.purged_at is None:
        had_file = bool(export.file_key)
        export.purged_at, export.file_key, export.query = now, "", ""
        export.save(update_fields=["purged_at", "file_key", "query"])
        if had_file:
            record(EXPORT_EXPIRED, actor=actor, subject=export, data={"name": export.name}, person=_asker(export))
    return export


def over(export: Export) -> str:
    """Return how the export ended, "" while it may still be completed."""
    if export.canceled_at is not None:
        return "canceled"
    if export.completed_at is not None:
        return "completed"
    return "expired" if export.purged_at is not None else ""


def address(export: Export) -> str:
    """Return where the file is fetched, as a path."""
    return reverse("admin:export_download", args=[export.public_id])


def _own(actor: Actor, export: Export) -> Export:
    if not actor.is_staff or export.requested_by_id != actor.id:
        raise NotFound("There is no such export, or another person asked for it.")
    return export.refreshed_for_update()


def _asker(export: Export) -> Subject:
    return Subject("user", export.requested_by_id)
