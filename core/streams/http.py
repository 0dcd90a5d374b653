"""HTTP as the process of the streams needs it: read from and written to ASGI directly, without Django's middleware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core import context
from core.api import problems
from core.api.replies import PROBLEM_JSON, SECURITY_HEADERS, encode
from core.errors import AppError, InvalidInput
from core.headers import everywhere
from core.ids import new_id
from core.middleware import REQUEST_ID, TRACEPARENT, client_ip, networks

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]

MOST_PARAMETERS = 20

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Allow-Headers": "accept, cache-control, last-event-id, x-request-id",
    "Access-Control-Max-Age": "3600",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. Header names are in small letters."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    context: context.Context

    @property
    def origin(self) -> str:
        return self.headers.get("origin", "")

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of the address; of one that is given twice the last one counts. Raises `InvalidInput` for
        more than anybody can mean."""
        try:
            return dict(parse_qsl(self.query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS))
        except ValueError:
            raise InvalidInput(f"The address may have {MOST_PARAMETERS} parameters at most.") from None


def read(scope: Scope) -> Asked:
    """Return what was asked. Its context is made as `ContextMiddleware` makes that of the web."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    sent_id = REQUEST_ID.fullmatch(headers.get("x-request-id", ""))
    trace = TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    peer = (scope.get("client") or ("",))[0]
    made = context.Context(
        source="api",
        request_id=sent_id[0] if sent_id else new_id().hex,
        trace_id=trace["trace"] if trace else "",
        ip=client_ip(peer, headers.get("x-forwarded-for", ""), networks(settings.TRUSTED_PROXIES)),
        user_agent=headers.get("user-agent", "")[:300],
    )
    return Asked(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers, made)


def headers_for(asked: Asked) -> dict[str, str]:
    """Return the headers of every reply: security, request id, and for pages of an allowed origin CORS."""
    headers = {**everywhere(), **SECURITY_HEADERS, "Cache-Control": "no-store", "Vary": "Origin"}
    headers["X-Request-ID"] = asked.context.request_id
    if asked.origin and asked.origin in _origins():
        headers["Access-Control-Allow-Origin"] = asked.origin
        headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-ID"
    return headers


def _origins() -> set[str]:
    """Return the origins whose pages may read streams: those of the API, and our own pages."""
    public = urlsplit(settings.PUBLIC_URL)
    return {*settings.CORS_ALLOWED_ORIGINS, f"{public.scheme}://{public.netloc}"}


def preflight_headers(asked: Asked) -> dict[str, str]:
    """Return the headers that answer a browser's question beforehand."""
    return headers_for(asked) | (_PREFLIGHT if asked.origin in _origins() else {})


def start(status: int, headers: Mapping[str, str]) -> Event:
    """Return the event that begins a reply."""
    pairs = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def body(content: bytes, *, more: bool) -> Event:
    """Return the event of one part of a reply."""
    return {"type": "http.response.body", "body": content, "more_body": more}


async def answer(send: Send, status: int, headers: Mapping[str, str], content: bytes = b"") -> None:
    """Send a whole reply."""
    await send(start(status, {**headers, "Content-Length": str(len(content))}))
    await send(body(content, more=False))


async def refuse(send: Send, asked: Asked, error: AppError) -> None:
    """Send the problem document of `error` (RFC 9457), as the API would."""
    headers = headers_for(asked) | error.headers | {"Content-Type": PROBLEM_JSON}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    content = encode(problems.document(error, instance=asked.path)).encode("utf-8", "replace")
    await answer(send, error.status, headers, content)


def as_django(asked: Asked, peer: str) -> HttpRequest:
    """Return the request as a view of ours takes it: for health and figures, which the web answers too."""
    request = HttpRequest()
    request.method, request.path, request.path_info = asked.method, asked.path, asked.path
    request.META = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in asked.headers.items()}
    request.META["REMOTE_ADDR"] = peer
    return request


async def answer_with(send: Send, asked: Asked, reply: HttpResponse) -> None:
    """Send what a view of ours answered."""
    headers = headers_for(asked) | dict(reply.headers.items())
    await answer(send, reply.status_code, headers, b"" if asked.method == "HEAD" else reply.content)
