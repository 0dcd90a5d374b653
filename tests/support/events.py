"""A client of server-sent events that reads what is on the wire, line by line (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Received:
    id: str | None = None
    event: str = "message"
    data: Any = None


@dataclass
class Events:
    """One connection. `status` and `headers` are those of the reply; of a refusal `problem` is the document."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    patience: float = 15.0
    retries: list[int] = field(default_factory=list)
    heartbeats: int = 0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self.patience)
        self.connection.request("GET", f"{parts.path}?{parts.query}", headers=self.headers)
        self.reply = self.connection.getresponse()
        self.status = self.reply.status
        is_stream = self.reply.headers.get("Content-Type", "").startswith("text/event-stream")
        self.problem = None if is_stream else json.loads(self.reply.read() or b"null")

    def next(self) -> Received | None:
        """Return the next message, None when the stream has ended. Raises TimeoutError when none comes in time."""
        found, deadline = Received(), time.monotonic() + self.patience
        while True:
            if time.monotonic() > deadline:  # heartbeats alone are no message
                raise TimeoutError(f"No message within {self.patience} s, {self.heartbeats} heartbeats.")
            line = self.reply.readline()
            if not line:
                return None
            text = line.decode().rstrip("\n")
            name, _, value = text.partition(": ")
            if not text and found.data is not None:
                return found
            if text.startswith(":"):
                self.heartbeats += 1
            elif name == "retry":
                self.retries.append(int(value))
            elif name == "data":
                found.data = json.loads(value)
            elif name in ("id", "event"):
                setattr(found, name, value)

    def take(self, count: int) -> list[Received]:
        """Return the next `count` messages."""
        found = [self.next() for _ in range(count)]
        assert None not in found, found
        return [one for one in found if one is not None]

    def rest(self) -> list[Received]:
        """Return all messages until the stream ends."""
        return list(iter(self.next, None))

    def close(self) -> None:
        self.reply.close()
        self.connection.close()
