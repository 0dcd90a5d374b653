"""Which streams there are. Apps declare theirs in `<app>/streams.py`, imported in `AppConfig.ready()`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from core.actor import Actor
from core.errors import FieldFault, InvalidInput
from core.streams.messages import Message


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a stream: the actor as they stand at entry, and what they asked for. `last_event_id` is the id of the
    last message that the client has seen (None: it begins)."""

    actor: Actor
    organization_id: UUID | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    last_event_id: str | None = None


Source: TypeAlias = Callable[[Reader], AsyncIterator[Message]]
Check: TypeAlias = Callable[[Reader], None]


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of stream. `parameters` are the names that a ticket may carry (None: whatever `check` lets through)."""

    name: str
    source: Source
    check: Check | None = None
    parameters: frozenset[str] | None = None

    def admit(self, reader: Reader) -> None:
        """Raise what `check` raises, and `InvalidInput` for parameters that the stream does not know. Asked when the
        ticket is issued and again at entry, in a thread that may ask the database."""
        if self.parameters is not None:
            faults = [
                FieldFault(f"/parameters/{name}", "unknown_field", "The stream knows no such parameter.")
                for name in sorted(set(reader.parameters) - self.parameters)
            ]
            if faults:
                raise InvalidInput("The stream does not know these parameters.", faults=faults)
        if self.check is not None:
            self.check(reader)


streams: dict[str, Stream] = {}


def stream(
    name: str, *, check: Check | None = None, parameters: Collection[str] | None = None
) -> Callable[[Source], Source]:
    """Register an async generator of messages as the stream `name`.

    `check(reader)` is ordinary blocking code that raises `Forbidden`, `NotFound` or `InvalidInput` for who may not read
    it; without one everybody signed in may. An `AppError` that leaves the source is told to the client as an event
    `error`, whatever else does is logged and told as an internal error. A source that returns ends its stream.
    """

    def register(source: Source) -> Source:
        known = streams.get(name)
        assert known is None or known.source.__qualname__ == source.__qualname__, f"stream {name} is declared twice"
        streams[name] = Stream(name, source, check, None if parameters is None else frozenset(parameters))
        return source

    return register
