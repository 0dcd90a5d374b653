"""Signed, opaque cursors: base64url(signature + JSON).

A cursor holds the sort key of the row beside it, and is bound to the address, the filters and the order it was made
for.
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
from django.http import HttpRequest

from core.errors import InvalidInput

PARAMETERS = frozenset({"limit", "cursor", "include_total"})
_SIGNATURE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins: the sort key of the row beside it; `is_backward` looks the other way."""

    key: tuple[Any, ...]
    is_backward: bool


def scope_of(request: HttpRequest, ordering: tuple[str, ...]) -> str:
    """Return what a cursor is bound to: address, filters, order. The size of the page may change on the way."""
    filters = sorted(
        (name, value) for name, values in request.GET.lists() for value in values if name not in PARAMETERS
    )
    return json.dumps([request.path, filters, ordering])


def _signature(payload: bytes, scope: str) -> bytes:
    key = hashlib.sha256(b"countinghouse.cursor" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, scope.encode() + b"\n" + payload, hashlib.sha256).digest()[:_SIGNATURE_BYTES]


def cursor_of(position: Position, scope: str) -> str:
    """Return the cursor of a position in what `scope` names."""
    payload = json.dumps(
        {"k": [_pack(value) for value in position.key], "b": int(position.is_backward)}, separators=(",", ":")
    ).encode()
    return base64.urlsafe_b64encode(_signature(payload, scope) + payload).rstrip(b"=").decode()


def link(request: HttpRequest, position: Position, scope: str) -> str:
    """Return the address of the page that begins at `position`."""
    kept = [(name, value) for name, values in request.GET.lists() for value in values if name != "cursor"]
    return f"{request.path}?{urlencode([*kept, ('cursor', cursor_of(position, scope))])}"


def read_cursor(cursor: str, scope: str, length: int, pointer: str = "?cursor") -> Position:
    """Return the position in a cursor made for `scope`, whose key has `length` parts. Raises `InvalidInput`, which
    points at `pointer`."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except ValueError:
        raise bad_cursor(pointer) from None
    signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(payload, scope)):
        raise bad_cursor(pointer)
    content = json.loads(payload)
    if len(content["k"]) != length:
        raise bad_cursor(pointer)
    return Position(tuple(_unpack(value) for value in content["k"]), bool(content["b"]))


def bad_cursor(pointer: str = "?cursor") -> InvalidInput:
    """Return the refusal of a cursor."""
    return InvalidInput.at(
        pointer, "This cursor was not made for this list with these filters. Begin without one.", "invalid_cursor"
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
