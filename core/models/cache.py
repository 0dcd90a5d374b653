"""What the cache could not be told while Redis was away."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class MissedInvalidation(models.Model):
    """A move of cache versions that Redis could not be told of; written with the change it belongs to."""

    id = models.BigAutoField(primary_key=True)
    version_keys = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
