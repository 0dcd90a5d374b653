"""The routes of notifications, below `/api/v1/`."""

from __future__ import annotations

from notifications.api import inbox_urls

urlpatterns = [*inbox_urls.urlpatterns]
