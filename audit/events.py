"""What happens to the log's own followers."""

from __future__ import annotations

from core.events import EventType

FOLLOWER_RESET = EventType("audit.follower.reset", "follower", "A follower was let go on, perhaps from another place.")
