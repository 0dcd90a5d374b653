"""What every reply tells the browser, and how large a request may be. The reasons stand in docs/security-headers.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.template import Origin
from django.template.loaders import app_directories

from core.api import problems
from core.errors import TooLarge

LONGEST_BODY = 10 * 1024 * 1024
SHORTEST_COMPRESSED = 1024
_YEAR = 365 * 24 * 3600

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), usb=()",
}
_NO_PAGE = "default-src 'none'; frame-ancestors 'none'"


def everywhere() -> dict[str, str]:
    """Return the headers of every reply, whoever serves it."""
    headers = dict(_EVERYWHERE)
    if settings.PUBLIC_URL.startswith("https://"):
        # Browsers heed it over TLS only; set here, since behind a proxy Django does not see the TLS.
        headers["Strict-Transport-Security"] = f"max-age={_YEAR}; includeSubDomains; preload"
    return headers


class SecurityHeadersMiddleware:
    """Puts the headers on every reply that lacks them; the policy of pages is django-csp's. Refuses larger bodies than
    10 MB by what they announce, before they are read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.headers = everywhere()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        announced = request.META.get("CONTENT_LENGTH") or "0"
        if announced.isdigit() and int(announced) > LONGEST_BODY:
            response: HttpResponseBase = problems.handle(TooLarge("A body may have 10 MB at most."), request)
        else:
            response = self.get_response(request)
        for name, value in self.headers.items():
            response.headers.setdefault(name, value)
        if not response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Security-Policy", _NO_PAGE)
        return response


class CompressMiddleware(GZipMiddleware):
    """Gzip, level 6, from 1 KB. Never what carries a secret (BREACH, CVE-2013-3587): nothing under `/auth/`, no reply
    of an operation declared with `has_secret`. Pages get random padding, and Django masks their CSRF token."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if request.path_info.startswith("/api/v1/auth/") or getattr(response, "_holds_secret", False):
            return response
        if not response.streaming and len(response.content) < SHORTEST_COMPRESSED:
            return response
        return super().process_response(request, response)


_OPENS = re.compile(r"<(script|style)(?=[\s>])(?![^>]*\bnonce=)")
_WITH_NONCE = r'<\1 nonce="{{ request.csp_nonce }}"'
# htmx writes a style element of its own, and is told the nonce.
_HTMX = """<head>
        <meta name="htmx-config" content='{"inlineStyleNonce":"{{ request.csp_nonce }}"}'>"""
_THEIRS = re.compile(r"[/\\](unfold|django[/\\]contrib[/\\]admin)[/\\]")


class NonceLoader(app_directories.Loader):
    """Loads the templates of Unfold and of Django's admin with the nonce written into their `<script>` and `<style>`.

    They carry none, and copies of theirs would have to be followed by hand. It is the source that is changed, before
    anything is rendered: what data brings in gets no nonce.
    """

    def get_contents(self, origin: Origin) -> str:
        contents: str = super().get_contents(origin)
        if str(origin.name).endswith(".html") and _THEIRS.search(str(origin.name)):
            return _OPENS.sub(_WITH_NONCE, contents).replace("<head>", _HTMX, 1)
        return contents
