"""Who may set up webhooks and see what was sent, and send mails again. One's own inbox needs no permission."""

from __future__ import annotations

from core.access import Permission

WEBHOOK_ENDPOINT_VIEW = Permission("notifications.webhook_endpoint.view", "See webhook endpoints.")
WEBHOOK_ENDPOINT_MANAGE = Permission(
    "notifications.webhook_endpoint.manage", "Set up, change, test, disable and remove webhook endpoints."
)
WEBHOOK_DELIVERY_VIEW = Permission(
    "notifications.webhook_delivery.view", "See what was sent by webhook, personal fields too."
)
WEBHOOK_DELIVERY_REPLAY = Permission("notifications.webhook_delivery.replay", "Send webhooks again.")

MAIL_RESEND = Permission("notifications.mail.resend", "Send an e-mail again.")
