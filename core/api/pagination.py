"""Keyset pages behind signed, opaque cursors.

A cursor holds the sort key of the last row shown, so that a page costs the same however deep it lies and no row is
skipped or shown twice while others come and go. It is bound to the address, the filters and the order it was made for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework.pagination import BasePagination

from core.api.cursors import Position, bad_cursor, link, read_cursor, scope_of
from core.api.replies import Reply
from core.errors import InvalidInput
from core.keyset import after, key_of
from core.reading import read

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
_LIMIT_DIGITS = 9  # Python refuses to read numbers of thousands of digits


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
        scope = scope_of(request, ordering)
        position = read_cursor(query["cursor"], scope, len(ordering)) if "cursor" in query else None
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
            next=link(request, Position(key_of(rows[-1], ordering), False), scope) if has_next else None,
            previous=link(request, Position(key_of(rows[0], ordering), True), scope) if has_previous else None,
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
        raise bad_cursor() from None


def _reversed(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"
