"""What travels on a stream, in the form of server-sent events (WHATWG HTML, section 9.2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.api.replies import encode

HEARTBEAT = b": \n\n"


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a stream. `id` is what a client resumes after (None: it moves no cursor), `data` is sent as JSON."""

    id: str | None = None
    event: str = "message"
    data: Mapping[str, Any] = field(default_factory=dict)


def encoded(message: Message) -> bytes:
    """Return the bytes of one message. Id and name must be one line without NUL: a client would misread others."""
    named = "" if message.id is None else f"id: {_line(message.id)}\n"
    return f"{named}event: {_line(message.event)}\ndata: {encode(message.data)}\n\n".encode("utf-8", "replace")


def retry(milliseconds: int) -> bytes:
    """Return the line that tells a client how long to wait before it connects again."""
    return f"retry: {milliseconds}\n\n".encode()


def _line(text: str) -> str:
    assert not set(text) & {"\r", "\n", "\x00"}, f"{text[:50]!r} does not fit on a line of an event stream"
    return text
