"""One open stream: from the first byte to the last."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Any, cast

import structlog
from django.conf import settings

from core.api import problems
from core.errors import AppError
from core.streams import http
from core.streams.messages import HEARTBEAT, Message, encoded, retry
from core.streams.tickets import Entry

_RETRY_MILLISECONDS = 2000
_LONGEST_SECONDS = 3600.0

log = structlog.get_logger("streams")


class End(StrEnum):
    """Why a stream ended."""

    LEFT = "left"  # the client went away
    FINISHED = "finished"  # the source had no more to say
    FAILED = "failed"  # the source raised
    SLOW = "slow"  # the client took nothing for too long
    ACCESS_CHANGED = "access_changed"  # session ended, key revoked, role changed
    OLD = "old"  # open for an hour
    STOPPING = "stopping"  # this process stops


# What the client is told before the line is cut; of the others there is nobody to tell, or nothing to say.
_TOLD = frozenset({End.ACCESS_CHANGED, End.OLD, End.STOPPING})


class Connection:
    """Sends what the source yields, a heartbeat when it is silent, and a word when the stream is closed by us."""

    def __init__(self, entry: Entry, asked: http.Asked, receive: http.Receive, send: http.Send) -> None:
        self.entry, self.asked = entry, asked
        self._receive, self._send = receive, send
        self._closing: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.messages = self.bytes = 0
        self.is_done = asyncio.Event()

    def close(self, why: End) -> None:
        """End the stream as soon as what is under way has been sent."""
        if not self._closing.done():
            self._closing.set_result(why)

    async def run(self) -> End:
        """Serve the stream to its end; returns why it ended."""
        started = time.monotonic()
        end = End.FAILED
        try:
            end = await self._serve()
        finally:
            self.is_done.set()
            log.info(
                "stream.ended",
                stream=self.entry.stream.name,
                actor=f"{self.entry.proof.type}:{self.entry.proof.id}",
                reason=str(end),
                seconds=round(time.monotonic() - started, 3),
                messages=self.messages,
                bytes=self.bytes,
                resumed_after=self.entry.reader.last_event_id or "",
            )
        return end

    async def _serve(self) -> End:
        headers = http.headers_for(self.asked) | {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        try:
            await self._send(http.start(200, headers))
            await self._write(retry(_RETRY_MILLISECONDS))
            end = await self._pump()
            if end in _TOLD:
                # Spread out, so that all who are sent away do not come back in one moment.
                wait = random.randint(_RETRY_MILLISECONDS // 4, _RETRY_MILLISECONDS * 2)  # noqa: S311 - no secret
                await self._write(retry(wait) + encoded(Message(event="close", data={"reason": str(end)})))
            await self._send(http.body(b"", more=False))
        except TimeoutError:
            return End.SLOW
        except Exception:
            # The reply has begun: no second one may follow it.
            log.exception("stream.broken", stream=self.entry.stream.name)
            return End.FAILED
        return end

    async def _pump(self) -> End:
        """Move messages until something ends the stream. Raises TimeoutError when the client takes nothing."""
        messages = self.entry.stream.source(self.entry.reader)
        gone = asyncio.ensure_future(self._until_gone())
        following: asyncio.Future[Message] = _following(messages)
        oldest = time.monotonic() + _LONGEST_SECONDS * random.uniform(0.9, 1.0)  # noqa: S311 - no secret
        try:
            while True:
                await asyncio.wait(
                    (following, gone, self._closing),
                    timeout=settings.STREAMS_HEARTBEAT_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if gone.done():
                    return End.LEFT
                if following.done():
                    try:
                        message = following.result()
                    except StopAsyncIteration:
                        return End.FINISHED
                    except Exception as fault:
                        return await self._fail(fault)
                    await self._write(encoded(message))
                    self.messages += 1
                    following = _following(messages)
                elif not self._closing.done():
                    await self._write(HEARTBEAT)
                if self._closing.done():
                    return self._closing.result()
                if time.monotonic() > oldest:
                    return End.OLD
        finally:
            await _tidy(messages, following, gone)

    async def _write(self, content: bytes) -> None:
        async with asyncio.timeout(settings.STREAMS_BLOCKED_SECONDS):
            await self._send(http.body(content, more=True))
        self.bytes += len(content)

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _fail(self, fault: Exception) -> End:
        """Tell the client what went wrong, as the API would; a fault of ours is one log line and no detail."""
        error = problems.as_app_error(fault)
        if error is None:
            log.error("stream.unhandled_error", exc_info=fault, stream=self.entry.stream.name)
            error = AppError("Something went wrong on our side. Quote the request id when you ask about it.")
        problem = problems.document(error, instance=self.asked.path)
        await self._write(encoded(Message(event="error", data=problem)))
        return End.FAILED


def _following(messages: AsyncIterator[Message]) -> asyncio.Future[Message]:
    return asyncio.ensure_future(cast("asyncio.Future[Message]", anext(messages)))


async def _tidy(messages: AsyncIterator[Message], *tasks: asyncio.Future[Any]) -> None:
    """Leave nothing behind: neither tasks nor the source's own `finally`."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    closing = getattr(messages, "aclose", None)
    if closing is not None:
        await closing()
