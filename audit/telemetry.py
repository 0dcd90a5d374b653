"""Figures of the log that are read at the scrape."""

from __future__ import annotations

from audit.models import Follower, Tree
from audit.selectors import sealing
from core.telemetry.metrics import business_gauge


def _follower_lag() -> dict[str, float]:
    size = Tree.objects.values_list("size", flat=True).get()
    return {row.name: float(max(0, size - row.position)) for row in Follower.objects.all()}


def register() -> None:
    """Register them; called once, when the apps are ready."""
    business_gauge("audit_unsealed_events", "Committed events without a position.", lambda: float(sealing.lag().events))
    business_gauge("audit_sealing_lag_seconds", "How long the first of them waits.", lambda: sealing.lag().seconds)
    business_gauge("audit_follower_lag_events", "How far a follower is behind.", _follower_lag, label="follower")
