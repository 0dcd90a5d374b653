"""Middleware that only pages need. Requests of the API (`/api/v1/`) have no cookies, forms, messages or static files:
they pass it by, which halves what the way to their view costs."""

from __future__ import annotations

from typing import Any

from csp import middleware as csp
from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest
from django.middleware import csrf
from whitenoise import middleware as whitenoise

from core import middleware_door as door

_API = "/api/v1/"


class ForPages:
    """Stands before a middleware class, and is passed by on the way to the API and back."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith(_API):
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]


class CSPMiddleware(ForPages, csp.CSPMiddleware):
    """The policy of the API stands in `core.api.replies`."""


class DoorMiddleware(ForPages, door.DoorMiddleware):
    pass


class WhiteNoiseMiddleware(ForPages, whitenoise.WhiteNoiseMiddleware):
    pass


class SessionMiddleware(ForPages, sessions.SessionMiddleware):
    pass


class CsrfViewMiddleware(ForPages, csrf.CsrfViewMiddleware):
    """Its `process_view` finds the views of the API exempt: they know no cookies."""


class AuthenticationMiddleware(ForPages, auth.AuthenticationMiddleware):
    pass


class MessageMiddleware(ForPages, messages.MessageMiddleware):
    pass
