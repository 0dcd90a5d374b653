"""How values become JSON that hashes to the same bytes anywhere (RFC 8785), now and in ten years."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from core.money import Money

LARGEST_EXACT_INTEGER = 2**53 - 1


def normalized(value: Any) -> Any:
    """Return `value` as JSON that survives PostgreSQL's jsonb unchanged.

    UUID, date, Decimal and enums become text, moments RFC 3339 in UTC, money its minor units and currency, integers
    beyond 2^53 - 1 text, sets sorted lists. Raises TypeError for floats and for anything else.
    """
    match value:
        case None | bool():
            return value
        case Enum():
            return normalized(value.value)
        case int():
            return value if abs(value) <= LARGEST_EXACT_INTEGER else str(value)
        case str():
            return clean(value)
        case datetime():
            return moment(value)
        case UUID() | Decimal():
            return str(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return f"PT{value // timedelta(seconds=1)}S"
        case Money():
            return {"minor": normalized(value.minor), "currency": value.currency}
        case Mapping():
            return {clean(str(key)): normalized(item) for key, item in value.items()}
        case list() | tuple():
            return [normalized(item) for item in value]
        case set() | frozenset():
            return sorted((normalized(item) for item in value), key=str)
        case _:
            return _other(value)


def _other(value: Any) -> str:
    # Translated texts are lazy objects; floats are refused because no two languages write them alike.
    if hasattr(value, "_proxy____cast"):
        return clean(str(value))
    raise TypeError(f"An event cannot hold {value!r} of type {type(value).__name__}.")


def clean(text: str) -> str:
    """Return `text` without what JSON in PostgreSQL cannot hold: NUL and lone surrogates become U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def moment(value: datetime) -> str:
    """Return an aware moment as RFC 3339 in UTC with microseconds, always 27 characters."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
