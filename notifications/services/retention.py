"""What was read long ago is removed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from core.retention import delete_in_chunks
from notifications.models import Mail, Notification

JOB: Final = "notifications.purge"


def purge(*, now: datetime) -> int:
    """Delete what was read more than NOTIFICATION_RETENTION_DAYS ago, with its mails, and digests of that age, 500 rows
    a transaction; return how many notifications went. What nobody has read stays."""
    horizon = now - timedelta(days=settings.NOTIFICATION_RETENTION_DAYS)
    old = Notification.objects.filter(read_at__lt=horizon).order_by("read_at")
    gone = delete_in_chunks(old)
    Mail.objects.filter(digest_on__lt=horizon.date(), told=None).delete()
    return gone
