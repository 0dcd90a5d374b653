"""The event log: record, seal, verify, follow."""

from core.events import Entry, record, record_many

__all__ = ["Entry", "record", "record_many"]
