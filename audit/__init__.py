"""The event log: record, seal, verify, follow."""

from core.events import record

__all__ = ["record"]
