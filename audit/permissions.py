"""Who may read the log."""

from __future__ import annotations

from core.access import Permission

EVENT_READ = Permission("audit.event.read", "Read the events of an organisation.")
PERSONAL_READ = Permission("audit.personal.read", "Read personal fields of events: addresses, browsers.")
FOLLOWER_RESET = Permission("audit.follower.reset", "Let a parked follower go on.")
