"""The addresses of the whole house."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.api import urls as accounts
from core.api import urls as api
from notifications.api import inbox_urls as notifications

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("", include("core.urls")),
    # One line for each app: path("api/v1/", include("<app>.api.urls")),
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("billing.api.urls")),
    path("api/v1/webhooks/", include("notifications.api.webhook_urls")),
    path("api/v1/", include("core.jobs.api")),
    path("api/v1/", include("core.streams.api")),
    path("api/v1/", include("audit.api.urls")),
    path("api/v1/", include("search.api.urls")),
    path("api/v1/", include("notifications.api.urls")),
    *notifications.pages,
    path("api/v1/", include("ai.api.urls")),
    path("help/", include("ai.help.views")),
    *accounts.well_known,
    *api.documentation,
    *api.unknown,
]

handler400 = "core.api.problems.bad_request"
handler403 = "core.api.problems.forbidden"
handler404 = "core.api.problems.not_found"
handler500 = "core.api.problems.server_error"
