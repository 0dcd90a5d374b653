"""Notifications in the admin, one file per concept."""

from notifications.admin import webhooks  # noqa: F401  (registers itself)
