"""Writing exports, and removing them when their time is up."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from core import clock
from core.actor import SYSTEM
from core.errors import InvalidTransition
from core.exports import commands, files
from core.exports.columns import Column
from core.exports.commands import JOB, Written
from core.exports.listings import Listing, listing_of
from core.exports.writers import CsvWriter, Writer, XlsxWriter
from core.jobs.registry import JobRun, job
from core.models import Export, ExportFormat
from core.schedules import schedule

PURGE = "core.purge_exports"
_AT_ONCE = 200

log = structlog.get_logger(__name__)


class Abandoned(Exception):
    """Who asked has canceled meanwhile."""


@job(JOB, max_attempts=5, backoff=5, time_limit=2 * 3600)
def write_export(run: JobRun) -> dict[str, Any] | None:
    """Write the list as who asked sees it now, store the file, complete the export. An attempt that was killed leaves
    at most a file that the next one removes; the completed event stands beside the one file that counts."""
    export = Export.objects.get(pk=run.payload["export"])
    state = commands.over(export)
    if state:
        files.wipe(export, but=export.file_key)
        return {"state": state}
    listing = listing_of(actor=run.actor, name=export.listing, query=export.query)
    files.wipe(export)
    stored = ""
    try:
        with files.scratch(export) as folder:
            path = folder / f"rows.{export.format}"
            rows = _write(run, export, listing, path)
            stored = files.put(export, path)
            written = Written(stored, rows, path.stat().st_size, files.digest(path))
        with transaction.atomic():
            run.progress(rows, rows)  # holds the job: from here no other attempt can have it
            export = commands.complete(actor=run.actor, export=export, written=written, now=clock.now())
    except (Abandoned, InvalidTransition):
        files.wipe(export, but=Export.objects.get(pk=export.pk).file_key)
        return {"state": commands.over(Export.objects.get(pk=export.pk))}
    except BaseException:
        if stored:
            files.storage().delete(stored)
        raise
    return {"state": "completed", "rows": rows, "size": export.size, "sha256": export.sha256}


def _write(run: JobRun, export: Export, listing: Listing, path: Path) -> int:
    """Write all rows and return how many. Raises Abandoned."""
    columns = listing.chosen(export.columns)
    writer = _writer(export, path, columns)
    total, done = listing.count(), 0
    run.progress(0, total)
    try:
        for chunk in listing.chunks():
            for row in chunk:
                writer.row([cell for column in columns for cell in column.cells(row)])
            done += len(chunk)
            run.progress(done, None if total is None else max(total, done))
            if Export.objects.filter(pk=export.pk, canceled_at__isnull=False).exists():
                raise Abandoned
    finally:
        writer.close()
    return done


def _writer(export: Export, path: Path, columns: list[Column]) -> Writer:
    headers = [header for column in columns for header in column.headers]
    if export.format == ExportFormat.XLSX:
        return XlsxWriter(path, headers, title=export.title)
    return CsvWriter(path, headers, has_mark=export.has_mark)


@job(PURGE, max_attempts=3)
def purge_exports(run: JobRun) -> dict[str, Any]:
    """Remove the files whose time is up, and what exports that came to nothing left behind."""
    done = 0
    while chunk := list(_due(run.now)[:_AT_ONCE]):
        for export in chunk:
            files.wipe(export)
            commands.expire(actor=SYSTEM, export=export, now=run.now)
        done += len(chunk)
        run.progress(done)
    return {"purged": done}


def _due(now: datetime) -> Any:
    old = now - timedelta(days=settings.EXPORT_RETENTION_DAYS)
    is_over = Q(expires_at__lte=now) | Q(expires_at=None, created_at__lte=old)
    return Export.objects.filter(is_over, purged_at=None).order_by("created_at")


schedule("core.purge_exports", kind=PURGE, cron="17 * * * *")
