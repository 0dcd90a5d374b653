"""The routes of operations: health and metrics."""

from __future__ import annotations

from django.urls import path

from core import health_views
from core.telemetry import views as telemetry_views

urlpatterns = [
    path("metrics", telemetry_views.scrape, name="metrics"),
    path("health", health_views.detail, name="health"),
    path("health/live", health_views.live, name="health-live"),
    path("health/ready", health_views.ready, name="health-ready"),
    path("health/startup", health_views.ready, name="health-startup"),
]
