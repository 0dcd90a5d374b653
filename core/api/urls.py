"""The root of the API. Apps hang their routes under `/api/v1/` in `project/urls.py`, before the last line here."""

from __future__ import annotations

from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from core.api.docs import RedocView, SchemaView, SwaggerView
from core.api.problems import not_found

documentation = [
    path("api/v1/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", SwaggerView.as_view(), name="swagger"),
    path("api/redoc", RedocView.as_view(), name="redoc"),
]

# With DEBUG on Django would answer an unknown address with a page of its own. Exempt like every view of the API: a POST
# to an address that is not there is told so, and not that it lacks a cookie.
unknown = [re_path(r"^api(/.*)?$", csrf_exempt(not_found))]
