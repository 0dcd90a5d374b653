"""Pages of what the engine lists: its own cursors, inside ours, which are signed and bound to the address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.api.cursors import Position, cursor_of, link, read_cursor, scope_of
from core.api.requests import Request


def read_page(request: Request, kind: str) -> str | None:
    """Return the engine's cursor out of the parameter `cursor`, None without one. Raises `InvalidInput`."""
    cursor = request.GET.get("cursor")
    if cursor is None:
        return None
    return str(read_cursor(cursor, scope_of(request._request, (kind,)), 1).key[0])


def next_page(request: Request, kind: str, after: str | None) -> str | None:
    """Return the address of the page behind the engine's cursor."""
    if after is None:
        return None
    return link(request._request, Position((after,), False), scope_of(request._request, (kind,)))


def read_position(request: Request, data: Mapping[str, Any]) -> str | None:
    """Return the engine's place out of the member `cursor` of a question, None without one. Raises `InvalidInput` for
    a cursor that another question was answered with."""
    cursor = data.get("cursor")
    return None if cursor is None else str(read_cursor(cursor, _scope(request), 1, "/cursor").key[0])


def next_position(request: Request, after: str | None) -> str | None:
    """Return the cursor with which the same question goes on."""
    return None if after is None else cursor_of(Position((after,), False), _scope(request))


def _scope(request: Request) -> str:
    body: Any = request.data
    question = {name: value for name, value in body.items() if name not in ("cursor", "limit", "consistency")}
    return json.dumps([request.path, question], sort_keys=True)
