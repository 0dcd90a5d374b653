"""The routes of one's own inbox, below `/api/v1/`, and the page behind a mail's link to stop."""

from __future__ import annotations

from django.urls import path

from notifications.api import inbox_views as views
from notifications.api import unsubscribe

urlpatterns = [
    path("notifications", views.NotificationViewSet.as_view({"get": "list"}), name="notification-list"),
    path("notifications/summary", views.SummaryView.as_view(), name="notification-summary"),
    path("notifications/preferences", views.PreferencesView.as_view(), name="notification-preferences"),
    path(
        "notifications/mark-all-read",
        views.NotificationViewSet.as_view({"post": "mark_all_read"}),
        name="notification-mark-all-read",
    ),
    path("notifications/<str:id>", views.NotificationViewSet.as_view({"get": "retrieve"}), name="notification-detail"),
    *(
        path(
            f"notifications/<str:id>/{verb.replace('_', '-')}",
            views.NotificationViewSet.as_view({"post": verb}),
            name=f"notification-{verb.replace('_', '-')}",
        )
        for verb in ("mark_read", "mark_unread", "archive")
    ),
]

pages = [path("mail/stop/<str:token>", unsubscribe.stop, name="notification-unsubscribe")]
