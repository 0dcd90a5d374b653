"""Questions to the event log."""
