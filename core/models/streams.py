"""Who may open a live stream, and which streams are open."""

from __future__ import annotations

from django.db import models

from core import ids


class StreamTicket(models.Model):
    """A right to open one stream once, within a minute; and from then on the stream itself.

    Who asks is named by type and id, with the session by which they asked, never by foreign key. An open stream is a
    row with `seen_at` and without `ended_at`; its process moves `seen_at` on each minute, so that the streams of a
    process that died stop counting by themselves. `parameters` is what the client asked for, as it was checked.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    token_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token, in hexadecimal.")
    stream = models.CharField(max_length=50)
    actor_type = models.CharField(max_length=20)
    actor_id = models.UUIDField()
    session_id = models.UUIDField(null=True, blank=True)
    organization_id = models.UUIDField(null=True, blank=True)
    parameters = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["expires_at"], name="core_streamticket_expiry"),
            models.Index(
                fields=["actor_id", "seen_at"],
                name="core_streamticket_open",
                condition=models.Q(seen_at__isnull=False, ended_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stream} for {self.actor_type}:{self.actor_id}"
