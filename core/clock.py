"""The clock. Edges (views, admin actions, tasks, commands) read it once and pass `now` down; rules never do."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone


def now() -> datetime:
    """Return the present moment, aware, UTC."""
    return timezone.now()
