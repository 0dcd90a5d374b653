"""Pages of what the engine lists: its own cursors, inside ours, which are signed and bound to the address. One that
was made for something else is refused by OpenFGA's code (2007)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from accounts.permissions import problems
from accounts.permissions.faults import Code, Refused
from core.api.cursors import Position, cursor_of, link, read_cursor, scope_of
from core.api.requests import Request
from core.errors import InvalidInput


def read_page(request: Request, kind: str) -> str | None:
    """Return the engine's cursor out of the parameter `cursor`, None without one. Raises `CursorInvalid`."""
    return _read(request.GET.get("cursor"), scope_of(request._request, (kind,)), "?cursor")


def next_page(request: Request, kind: str, after: str | None) -> str | None:
    """Return the address of the page behind the engine's cursor."""
    if after is None:
        return None
    return link(request._request, Position((after,), False), scope_of(request._request, (kind,)))


def read_position(request: Request, data: Mapping[str, Any]) -> str | None:
    """Return the engine's place out of the member `cursor` of a question, None without one. Raises `CursorInvalid` for
    a cursor that another question was answered with."""
    return _read(data.get("cursor"), _scope(request), "/cursor")


def next_position(request: Request, after: str | None) -> str | None:
    """Return the cursor with which the same question goes on."""
    return None if after is None else cursor_of(Position((after,), False), _scope(request))


def _read(cursor: str | None, scope: str, pointer: str) -> str | None:
    if cursor is None:
        return None
    try:
        return str(read_cursor(cursor, scope, 1, pointer).key[0])
    except InvalidInput as error:
        raise problems.problem_of(Refused(Code.INVALID_CURSOR, error.detail), pointer) from error


def _scope(request: Request) -> str:
    body: Any = request.data
    question = {name: value for name, value in body.items() if name not in ("cursor", "limit", "consistency")}
    return json.dumps([request.path, question], sort_keys=True)
