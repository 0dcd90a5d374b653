"""Keyset pages behind signed, opaque cursors.

A cursor holds the sort key of the last row shown, so that a page costs the same however deep it lies and no row is
skipped or shown twice while others come and go. It is bound to the address, the filters and the order it was made for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework.pagination import BasePagination

from core.api.replies import Reply
from core.errors import InvalidInput
from core.keyset import after, key_of
from core.reading import read

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
PARAMETERS = frozenset({"limit", "cursor", "include_total"})
_SIGNATURE_BYTES = 16
_LIMIT_DIGITS = 9  # Python refuses to read numbers of thousands of digits


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins: the sort key of the row beside it; `is_backward` looks the other way."""

    key: tuple[Any, ...]
    is_backward: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order, and the links to the pages beside them."""

    rows: list[Any]
    next: str | None
    previous: str | None
    total: int | None

    def document(self, data: list[Any]) -> dict[str, Any]:
        """Return the body of the reply."""
        body: dict[str, Any] = {"data": data, "next": self.next, "previous": self.previous}
        if self.total is not None:
            body["total"] = self.total
        return body


class CursorPage(BasePagination):
    """The pagination of every list: `limit` (1-100, 20 when absent), `cursor`, `include_total`."""

    def page(self, queryset: QuerySet[Any], request: HttpRequest, ordering: tuple[str, ...]) -> Page:
        """Return the page that `request` asks for. `ordering` names columns, "-" for descending; each is indexed,
        never null, and the last one is unique. Raises `InvalidInput` for wrong parameters."""
        query = request.GET
        limit = _limit(query.get("limit"))
        scope = _scope(request, ordering)
        position = _read(query["cursor"], scope, len(ordering)) if "cursor" in query else None
        is_backward = position is not None and position.is_backward
        total = queryset.count() if _flag(query.get("include_total")) else None
        rows = read(_beside(queryset, ordering, position)[: limit + 1])
        has_more, rows = len(rows) > limit, rows[:limit]
        if is_backward:
            rows.reverse()
        # Where a cursor came from there is at least the row that it was made of.
        has_next = bool(rows) and (has_more or is_backward)
        has_previous = bool(rows) and (has_more if is_backward else position is not None)
        return Page(
            rows=rows,
            next=_link(request, Position(key_of(rows[-1], ordering), False), scope) if has_next else None,
            previous=_link(request, Position(key_of(rows[0], ordering), True), scope) if has_previous else None,
            total=total,
        )

    # What REST framework asks of a pagination class; `EntityViewSet.list` uses `page` directly.

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any]:
        self._page = self.page(queryset, request, tuple(view.ordering))
        return self._page.rows

    def get_paginated_response(self, data: Any) -> Any:
        return Reply(self._page.document(data))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {
            "type": "string",
            "format": "uri-reference",
            "nullable": True,
            "example": "/api/v1/subscriptions?cursor=eyJrIjpbXX0",
        }
        return {
            "type": "object",
            "required": ["data", "next", "previous"],
            "properties": {
                "data": {**schema, "maxItems": MAX_LIMIT},
                "next": {**link, "description": "The address of the next page; null on the last one."},
                "previous": {**link, "description": "The address of the page before; null on the first one."},
                "total": {"type": "integer", "minimum": 0, "description": "Only when asked for by `include_total`."},
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        def parameter(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
            return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}

        limits = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        return [
            parameter("limit", "How many rows a page has.", limits),
            parameter("cursor", "Where the page begins: taken from `next` or `previous`.", {"type": "string"}),
            parameter("include_total", "Count all rows too; costs a query.", {"type": "boolean", "default": False}),
        ]


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    limit = int(text) if text.isascii() and text.isdigit() and len(text) <= _LIMIT_DIGITS else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput.at("?limit", f"Expected a whole number from 1 to {MAX_LIMIT}.", "out_of_range")
    return limit


def _flag(text: str | None) -> bool:
    if text not in (None, "true", "false"):
        raise InvalidInput.at("?include_total", "Expected true or false.", "not_a_boolean")
    return text == "true"


def _beside(queryset: QuerySet[Any], ordering: tuple[str, ...], position: Position | None) -> QuerySet[Any]:
    is_backward = position is not None and position.is_backward
    order = tuple(_reversed(name) for name in ordering) if is_backward else ordering
    queryset = queryset.order_by(*order)
    if position is None:
        return queryset
    try:
        return queryset.filter(after(order, position.key))
    except (ValueError, TypeError):
        raise _bad_cursor() from None


def _reversed(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


# --- the cursor: base64url(signature + JSON) -------------------------------------------------------------------------


def _scope(request: HttpRequest, ordering: tuple[str, ...]) -> str:
    """What a cursor is bound to: address, filters, order. The size of the page may change on the way."""
    filters = sorted(
        (name, value) for name, values in request.GET.lists() for value in values if name not in PARAMETERS
    )
    return json.dumps([request.path, filters, ordering])


def _signature(payload: bytes, scope: str) -> bytes:
    key = hashlib.sha256(b"countinghouse.cursor" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, scope.encode() + b"\n" + payload, hashlib.sha256).digest()[:_SIGNATURE_BYTES]


def _link(request: HttpRequest, position: Position, scope: str) -> str:
    payload = json.dumps(
        {"k": [_pack(value) for value in position.key], "b": int(position.is_backward)}, separators=(",", ":")
    ).encode()
    cursor = base64.urlsafe_b64encode(_signature(payload, scope) + payload).rstrip(b"=").decode()
    kept = [(name, value) for name, values in request.GET.lists() for value in values if name != "cursor"]
    return f"{request.path}?{urlencode([*kept, ('cursor', cursor)])}"


def _read(cursor: str, scope: str, length: int) -> Position:
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except ValueError:
        raise _bad_cursor() from None
    signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(payload, scope)):
        raise _bad_cursor()
    content = json.loads(payload)
    if len(content["k"]) != length:
        raise _bad_cursor()
    return Position(tuple(_unpack(value) for value in content["k"]), bool(content["b"]))


def _bad_cursor() -> InvalidInput:
    return InvalidInput.at(
        "?cursor", "This cursor was not made for this list with these filters. Begin without one.", "invalid_cursor"
    )


def _pack(value: Any) -> Any:
    if isinstance(value, UUID):
        return ["u", value.hex]
    if isinstance(value, datetime):
        return ["t", value.isoformat()]
    if isinstance(value, date):
        return ["d", value.isoformat()]
    return value


def _unpack(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind, text = value
    readers: dict[str, Callable[[str], Any]] = {"u": UUID, "t": datetime.fromisoformat, "d": date.fromisoformat}
    return readers[kind](text)
