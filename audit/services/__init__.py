"""The verbs of the event log."""
