"""What was asked long ago is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from ai.models import DailySpend, Question

_CHUNK: Final = 500


def forget(*, now: datetime) -> int:
    """Delete questions that were finished more than AI_RETENTION_DAYS ago, 500 rows a transaction, and the sums of
    those days; return how many questions went. What they cost stays in the log."""
    horizon = now - timedelta(days=settings.AI_RETENTION_DAYS)
    old = Question.objects.filter(finished_at__lt=horizon).order_by("finished_at")
    gone = 0
    while True:
        with transaction.atomic():
            chunk = list(old.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:_CHUNK])
            Question.objects.filter(pk__in=chunk).delete()
        gone += len(chunk)
        if len(chunk) < _CHUNK:
            break
    DailySpend.objects.filter(day__lt=horizon.date(), reserved_micro=0).delete()
    return gone
