"""What people and machines are told."""

from __future__ import annotations

from notifications.models.inbox import Mail, Notification, NotificationPreferences

__all__ = ["Mail", "Notification", "NotificationPreferences"]
