"""Who leads, when several processes could."""

from __future__ import annotations

from django.db import models


class Lease(models.Model):
    """One row for each thing that only one process may do. `token` rises with each change of hands."""

    name = models.CharField(max_length=50, primary_key=True)
    holder = models.CharField(max_length=100)
    token = models.PositiveBigIntegerField(default=1)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
