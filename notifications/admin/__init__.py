"""Notifications in the admin, one file per concept."""

from notifications.admin import inbox, webhooks  # noqa: F401  (they register themselves)
