"""Lists as files: who asked for which list, and where its file lies."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from core.models.base import Entity


class ExportFormat(models.TextChoices):
    CSV = "csv", "CSV"
    XLSX = "xlsx", "Excel workbook (XLSX)"


class Export(Entity):
    """One list of the admin, as a file for who asked. Its work is the job `job_id`, whose state is not repeated here.

    `listing` is the list's model ("billing.customer") and `query` what narrowed it, as in the list's address.
    `file_key` is where the storage "exports" has the file, "" when there is none (yet, or any more).
    """

    id_prefix: ClassVar[str] = "exp"
    organization_path: ClassVar[str | None] = None

    request_key = models.CharField(max_length=120, unique=True)
    requested_by_id = models.UUIDField()
    listing = models.CharField(max_length=100)
    title = models.CharField(max_length=100)
    query = models.TextField(blank=True)
    columns = models.JSONField(default=list)
    format = models.CharField(max_length=4, choices=ExportFormat.choices)
    has_mark = models.BooleanField(default=False, help_text="A CSV begins with a byte order mark, for Excel.")
    job_id = models.UUIDField(null=True, blank=True)

    name = models.CharField(max_length=150, blank=True)
    file_key = models.CharField(max_length=200, blank=True)
    rows = models.PositiveBigIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    purged_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["requested_by_id", "-id"], name="core_export_by_requester"),
            models.Index(fields=["created_at"], name="core_export_kept", condition=Q(purged_at__isnull=True)),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(format__in=ExportFormat.values), name="core_export_format"),
            models.CheckConstraint(
                condition=Q(completed_at__isnull=True) | Q(expires_at__isnull=False), name="core_export_expires"
            ),
            models.CheckConstraint(
                condition=Q(completed_at__isnull=True) | Q(canceled_at__isnull=True), name="core_export_one_end"
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.title} ({self.get_format_display()})"
