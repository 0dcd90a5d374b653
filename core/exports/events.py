"""What happens to exports. What narrowed a list may name a person, and is kept under the key of who asked."""

from __future__ import annotations

from core.events import EventType

EXPORT_REQUESTED = EventType(
    "core.export.requested", "export", "A list was asked for as a file.", personal=("data.query",)
)
EXPORT_COMPLETED = EventType("core.export.completed", "export", "A list was written to a file.")
EXPORT_CANCELED = EventType("core.export.canceled", "export", "An export was canceled by who had asked for it.")
EXPORT_DOWNLOADED = EventType("core.export.downloaded", "export", "The file of an export was downloaded.")
EXPORT_EXPIRED = EventType("core.export.expired", "export", "The file of an export was removed, its time being up.")
