"""Who may read the log."""

from __future__ import annotations

from core.access import ADMINS, Permission

EVENT_READ = Permission("audit.event.read", "Read the events of an organisation.", ADMINS)
PERSONAL_READ = Permission("audit.personal.read", "Read personal fields of events: addresses, browsers.", ADMINS)
FOLLOWER_RESET = Permission("audit.follower.reset", "Let a parked follower go on.")
