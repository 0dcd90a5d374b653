"""The one process that keeps things moving: `manage.py relay`."""

from __future__ import annotations

from core.relay.duties import duties, duty
from core.relay.lease import HeldLease, NotLeading
from core.relay.wake import wake, wake_after_commit

__all__ = ["HeldLease", "NotLeading", "duties", "duty", "wake", "wake_after_commit"]
