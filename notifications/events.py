"""What happens around notifications, and to endpoints and deliveries of webhooks. That somebody was told something
is no event: it follows from one."""

from __future__ import annotations

from core.events import EventType


def _endpoint(verb: str, text: str) -> EventType:
    return EventType(f"notifications.webhook_endpoint.{verb}", "webhook_endpoint", text)


WEBHOOK_ENDPOINT_CREATED = _endpoint("created", "A webhook endpoint was set up.")
WEBHOOK_ENDPOINT_UPDATED = _endpoint("updated", "A webhook endpoint was changed.")
WEBHOOK_ENDPOINT_DELETED = _endpoint("deleted", "A webhook endpoint was removed.")
WEBHOOK_ENDPOINT_ENABLED = _endpoint("enabled", "A webhook endpoint is sent events again.")
WEBHOOK_ENDPOINT_DISABLED = _endpoint("disabled", "A webhook endpoint is sent nothing any more.")
WEBHOOK_ENDPOINT_SECRET_ROTATED = _endpoint("secret_rotated", "A webhook endpoint got a new secret.")
WEBHOOK_ENDPOINT_TESTED = _endpoint("tested", "A test was sent to a webhook endpoint.")
WEBHOOK_ENDPOINT_RECOVERED = _endpoint("recovered", "What a webhook endpoint missed was queued again.")

WEBHOOK_DELIVERY_REPLAYED = EventType(
    "notifications.webhook_delivery.replayed", "webhook_delivery", "A webhook is sent again."
)
WEBHOOK_DELIVERY_EXHAUSTED = EventType(
    "notifications.webhook_delivery.exhausted", "webhook_delivery", "Every attempt to deliver a webhook has failed."
)

NOTIFICATION_READ = EventType("notifications.notification.read", "notification", "A notification was read.")
NOTIFICATION_UNREAD = EventType(
    "notifications.notification.marked_unread", "notification", "A notification was marked as not read."
)
NOTIFICATION_ARCHIVED = EventType("notifications.notification.archived", "notification", "A notification was put away.")
INBOX_READ = EventType("notifications.inbox.read", "user", "A person marked their whole inbox as read.")
PREFERENCES_CHANGED = EventType(
    "notifications.preferences.changed", "notificationpreferences", "A person chose how to be told."
)
MAIL_RESENT = EventType("notifications.mail.resent", "mail", "An e-mail was sent again by staff.")
