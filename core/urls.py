"""The routes of operations: health and metrics."""

from __future__ import annotations

from django.urls import path

from core import error_pages, health_views
from core.telemetry import views as telemetry_views

urlpatterns = [
    path("docs/errors", error_pages.index, name="error-pages"),
    path("docs/errors/<str:code>", error_pages.page, name="error-page"),
    path("metrics", telemetry_views.scrape, name="metrics"),
    path("health", health_views.detail, name="health"),
    path("health/live", health_views.live, name="health-live"),
    path("health/ready", health_views.ready, name="health-ready"),
    path("health/startup", health_views.ready, name="health-startup"),
]
