"""Pages of what the engine lists: its own cursors, inside ours, which are signed and bound to the address."""

from __future__ import annotations

from core.api.cursors import Position, link, read_cursor, scope_of
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
