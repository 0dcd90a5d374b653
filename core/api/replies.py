"""Replies of the API: JSON made once, with the headers that every reply of the API carries."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import Promise

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"

# Nothing that the API answers is a page: no browser may run, frame or sniff it. HTML pages have a policy of their own.
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def moment(value: datetime) -> str:
    """Return an aware moment as RFC 3339 in UTC ("2026-01-31T09:00:00.000001Z")."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat()[:-6] + "Z"  # in place of +00:00


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal | Promise):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")


# The encoder is built once; json.dumps with options builds one for each call.
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain).encode


class Reply(HttpResponse):
    """JSON, encoded at once, so that what is stored for a replay is what was sent. `version` is that of the row which
    it shows: the reply then has its ETag."""

    def __init__(
        self,
        data: Any = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        content_type: str = JSON,
        version: int | None = None,
    ) -> None:
        content = b"" if data is None else encode(data).encode("utf-8", "replace")
        super().__init__(content, status=status, content_type=content_type)
        self.data = data
        if data is None:
            del self.headers["Content-Type"]
        if version is not None:
            self.headers["ETag"] = etag(version, content)
        for name, value in (headers or {}).items():
            self.headers[name] = value

    @property
    def is_rendered(self) -> bool:
        return True


def etag(version: int, content: bytes | None = None) -> str:
    """Return the entity tag of a row's version, and of its representation when that is given.

    A representation may show other rows too (a member's name, an invoice's lines), which have versions of their own:
    `If-None-Match` compares the whole tag, `If-Match` the version of the row, which is all that a command changes.
    """
    digest = "" if content is None else "-" + hashlib.blake2b(content, digest_size=8).hexdigest()
    return f'"v{version}{digest}"'


_ETAG = re.compile(r'(?:W/)?("v\d+)(?:-[0-9a-f]{16})?"')


def version_tags(header: str) -> set[str]:
    """Return the tags of `If-Match` as tags of versions alone. Compression makes tags weak; the version stays."""
    return {f'{found[1]}"' for part in header.split(",") if (found := _ETAG.fullmatch(part.strip()))}


def finish(response: HttpResponseBase, *, is_private: bool) -> None:
    """Write the headers of every reply of the API. What was made for somebody signed in is kept by no cache."""
    headers = response.headers
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if is_private or "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store"
    headers.setdefault("Vary", "Accept, Authorization, X-Organization")


def is_for_api(request: HttpRequest) -> bool:
    """Whether the address belongs to the API (its errors are problem documents, all others are pages)."""
    return request.path.startswith("/api/") or request.path == "/api"
