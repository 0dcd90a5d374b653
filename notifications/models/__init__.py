"""What people and machines are told."""

from __future__ import annotations

from notifications.models.inbox import Mail, Notification, NotificationPreferences
from notifications.models.positions import InboxPosition
from notifications.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSecret

__all__ = [
    "InboxPosition",
    "Mail",
    "Notification",
    "NotificationPreferences",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookSecret",
]
