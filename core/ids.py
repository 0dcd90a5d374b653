"""Identifiers: UUIDv7 keys (RFC 9562), shown to people as TypeIDs (`sub_01h455vb4pex5vsknk084sn02q`).

The prefix says what the thing is, so that an id pasted anywhere can be found. The suffix is the UUID in
Crockford's base 32, 26 characters, as the TypeID specification 0.3 lays down.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_SHAPE = re.compile(r"(?P<prefix>[a-z]{2,8})_(?P<suffix>[0-7][0-9a-hjkmnp-tv-z]{25})")


class MalformedId(ValueError):
    """The text is not an id of the wanted shape."""


def new_id() -> UUID:
    """Return a new UUIDv7; ids made by one process rise strictly (RFC 9562, section 6.2, method 1)."""
    return UUID(int=uuid_utils.uuid7().int)


def encode(prefix: str, value: UUID) -> str:
    """Return the public form of `value`: `prefix`, an underscore, 26 characters."""
    number, two = value.int, _PAIRS
    high, low = number >> 60, number & (1 << 60) - 1  # shifting small integers is cheaper
    return (
        f"{prefix}_{two[high >> 60]}{two[high >> 50 & 1023]}{two[high >> 40 & 1023]}{two[high >> 30 & 1023]}"
        f"{two[high >> 20 & 1023]}{two[high >> 10 & 1023]}{two[high & 1023]}"
        f"{two[low >> 50]}{two[low >> 40 & 1023]}{two[low >> 30 & 1023]}{two[low >> 20 & 1023]}"
        f"{two[low >> 10 & 1023]}{two[low & 1023]}"
    )


def split(text: str) -> tuple[str, UUID]:
    """Return prefix and UUID of a public id. Raises `MalformedId`."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise MalformedId(f"{text[:80]!r} is not an id: expected a prefix, '_' and 26 characters.")
    number = 0
    for character in match["suffix"]:
        number = number << 5 | _VALUES[character]
    return match["prefix"], UUID(int=number)


def decode(prefix: str, text: str) -> UUID:
    """Return the UUID of a public id that must carry `prefix`. Raises `MalformedId`."""
    found, value = split(text)
    if found != prefix:
        raise MalformedId(f"{text!r} is not the id of such an object: it should begin with '{prefix}_'.")
    return value


def lowest_id(moment: datetime) -> UUID:
    """Return the smallest UUIDv7 that could have been made at `moment` (aware): the lower bound of a range."""
    milliseconds = int(moment.astimezone(UTC).timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62)


def moment_of(value: UUID) -> datetime:
    """Return when a UUIDv7 was made (UTC, milliseconds)."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, tz=UTC)
