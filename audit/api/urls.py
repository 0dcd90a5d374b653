"""The routes of the event log, below `/api/v1/`."""

from __future__ import annotations

from django.urls import path

from audit.api.views import EventViewSet

urlpatterns = [
    path("audit/events", EventViewSet.as_view({"get": "list"}), name="event-list"),
    path("audit/events/<str:id>", EventViewSet.as_view({"get": "retrieve"}), name="event-detail"),
]
