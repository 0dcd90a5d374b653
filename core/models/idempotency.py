"""Requests that happen once, however often they are sent."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from core import ids


class IdempotencyState(models.TextChoices):
    CLAIMED = "claimed", "claimed"
    COMPLETED = "completed", "completed"


class IdempotencyKey(models.Model):
    """One key in one scope. Who claimed it holds `token`; who holds an older one may not write any more.

    `scope` is the hash of who asks, for which organisation, on which route; `fingerprint` the hash of what was asked.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    scope = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=IdempotencyState.choices, default=IdempotencyState.CLAIMED)
    token = models.PositiveBigIntegerField(default=1)
    lease_until = models.DateTimeField()
    operation_key = models.CharField(max_length=32)
    is_reply_kept = models.BooleanField(default=True, help_text="False when the reply held a secret.")
    reply_status = models.PositiveSmallIntegerField(null=True, blank=True)
    reply_headers = models.JSONField(default=dict)
    reply_body = models.BinaryField(null=True, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="core_idempotencykey_expiry")]
        constraints = [
            models.UniqueConstraint(fields=["scope", "key"], name="core_idempotencykey_once"),
            models.CheckConstraint(
                condition=Q(state="claimed") | Q(reply_status__isnull=False), name="core_idempotencykey_reply"
            ),
        ]

    def __str__(self) -> str:
        return self.key
