"""Which workers live."""

from __future__ import annotations

from django.db import models


class WorkerMark(models.Model):
    """One row for each worker process. Its message loop renews `beat_at` (by the database's clock) while it turns."""

    id = models.BigAutoField(primary_key=True)
    host = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "pid"], name="core_workermark_process")]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"
