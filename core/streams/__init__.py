"""Live streams: server-sent events (WHATWG HTML, section 9.2) in an ASGI process of their own.

    @stream("notifications", check=may_read)
    async def source(reader: Reader) -> AsyncIterator[Message]:
        ...
        yield Message(id="7", event="notification", data={...})

A client asks the API for a ticket (`POST /api/v1/streams/tickets`), and opens the address that it names. A source is
an async generator; blocking code (the database, a provider) goes through `in_thread`. A source that shows rows as they
change follows a `Feed`: one query a round for all its readers. Whoever writes such rows calls `wake(channel)`.
"""

from __future__ import annotations

from core.streams.feeds import Feed
from core.streams.messages import Message
from core.streams.registry import Reader, stream
from core.streams.standing import ACCESS_CHANGED
from core.streams.threads import in_thread
from core.streams.waking import wake, woken

__all__ = ["ACCESS_CHANGED", "Feed", "Message", "Reader", "in_thread", "stream", "wake", "woken"]
