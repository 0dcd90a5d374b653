"""What was asked long ago is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from ai.models import DailySpend, Question
from core.retention import delete_in_chunks


def forget(*, now: datetime) -> int:
    """Delete questions that were finished more than AI_RETENTION_DAYS ago, 500 rows a transaction, and the sums of
    those days; return how many questions went. What they cost stays in the log."""
    horizon = now - timedelta(days=settings.AI_RETENTION_DAYS)
    old = Question.objects.filter(finished_at__lt=horizon).order_by("finished_at")
    gone = delete_in_chunks(old)
    DailySpend.objects.filter(day__lt=horizon.date(), reserved_micro=0).delete()
    return gone
