"""The keys under which personal fields are stored: destroying one erases a person and breaks no proof."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from core import ids


class PersonKey(models.Model):
    """The key of one person, wrapped by one of ENCRYPTION_KEYS. A destroyed one stays as an empty row, so that no
    new key is ever made for that person."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    person_type = models.CharField(max_length=50)
    person_id = models.UUIDField()
    wrapped_key = models.BinaryField(null=True)
    wrapped_by = models.CharField(max_length=16, help_text="Fingerprint of the wrapping key.")
    created_at = models.DateTimeField(default=timezone.now)
    destroyed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person_type", "person_id"], name="core_personkey_person"),
            models.CheckConstraint(
                condition=models.Q(wrapped_key__isnull=False, destroyed_at__isnull=True)
                | models.Q(wrapped_key__isnull=True, destroyed_at__isnull=False),
                name="core_personkey_destroyed_or_there",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_type}:{self.person_id}"
