"""The edge: every request gets its context here, and its id goes back with the reply."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from core import context
from core.api.replies import is_for_api
from core.ids import new_id

REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")  # W3C

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ContextMiddleware:
    """Make the context of a request: id (`X-Request-ID`, taken when it has a sane shape), trace id (`traceparent`),
    address, user agent, idempotency key. Stands first, so that every log line of the request carries it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.trusted = networks(settings.TRUSTED_PROXIES)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        meta = request.META
        sent_id = REQUEST_ID.fullmatch(meta.get("HTTP_X_REQUEST_ID", ""))
        trace = TRACEPARENT.fullmatch(meta.get("HTTP_TRACEPARENT", ""))
        request_id = sent_id[0] if sent_id else new_id().hex
        made = context.Context(
            source="api" if is_for_api(request) else "admin",
            request_id=request_id,
            trace_id=trace["trace"] if trace else "",
            ip=client_ip(meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), self.trusted),
            user_agent=meta.get("HTTP_USER_AGENT", "")[:300],
            idempotency_key=meta.get("HTTP_IDEMPOTENCY_KEY", "")[:255],
        )
        with context.use(made):
            response = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        return response


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks named by `texts` ("10.0.0.0/8", "::1"). Raises ValueError."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def client_ip(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Return the address of the client: the last one in the chain `X-Forwarded-For` + peer that is no trusted proxy.

    Whatever stands left of it was written by the client and proves nothing.
    """
    if not trusted or not _is_trusted(peer, trusted):
        return peer
    for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        try:
            ipaddress.ip_address(hop)
        except ValueError:
            return peer
        if not _is_trusted(hop, trusted):
            return hop
        peer = hop
    return peer


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)
