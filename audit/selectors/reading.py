"""Events as people may read them: personal fields decrypted for who may, hidden from who may not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from audit.models import Event
from core import personal

_SECTIONS = ("before", "after", "data", "context")


@dataclass(frozen=True, slots=True)
class Readable:
    """An event with its sections in clear. `hidden` names (as dotted paths) the personal fields that stand there as
    null, since who reads may not see them or the person was erased."""

    event: Event
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    data: dict[str, Any]
    context: dict[str, Any]
    hidden: tuple[str, ...]


def readable(events: Iterable[Event], *, may_read_personal: bool) -> list[Readable]:
    """Return events in clear, with one query for all keys (none when personal fields stay hidden)."""
    found = list(events)
    envelopes = [envelope for event in found for envelope in _envelopes(event)] if may_read_personal else []
    reader = personal.Reader(envelopes) if envelopes else None
    return [_readable(event, reader) for event in found]


def _readable(event: Event, reader: personal.Reader | None) -> Readable:
    hidden: list[str] = []

    def clear(value: Any, path: str) -> Any:
        if personal.is_envelope(value):
            text = reader.read(value, field=path) if reader else None
            if text is None:
                hidden.append(path)
                return None
            return json.loads(text)
        if isinstance(value, dict):
            return {name: clear(item, f"{path}.{name}") for name, item in value.items()}
        return value

    sections = {name: clear(getattr(event, name), name) for name in _SECTIONS}
    return Readable(event, **sections, hidden=tuple(hidden))


def _envelopes(event: Event) -> Iterator[dict[str, str]]:
    stack = [getattr(event, name) for name in _SECTIONS]
    while stack:
        value = stack.pop()
        if personal.is_envelope(value):
            yield value
        elif isinstance(value, dict):
            stack.extend(value.values())
