"""Waking streams: a message through Valkey makes them quick, a poll makes them certain.

Each process has one subscription, whatever the number of its streams, and hands the wake-ups on by channel. While the
subscription is down nothing is heard; when it is back every listener is woken, since it may have missed something.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import redis.asyncio
import structlog
from django.conf import settings
from django.db import transaction

from core import redis as house

_CHANNEL = "countinghouse:streams"
_QUIET_SECONDS = 5.0  # after that long without a word the server is asked whether it is there
_REST_SECONDS = 1.0
Callback: TypeAlias = Callable[[], object]

log = structlog.get_logger(__name__)


def wake(*channels: str) -> None:
    """Wake who listens to `channels` once this transaction has committed (outside of one at once). Best effort: never
    raises, waits for no server that is down."""
    transaction.on_commit(partial(_publish, channels), robust=True)


def _publish(channels: tuple[str, ...]) -> None:
    def send(server: Any) -> None:
        pipe = server.pipeline(transaction=False)
        for channel in channels:
            pipe.publish(_CHANNEL, channel)
        pipe.execute()

    try:
        house.ask(send)
    except house.Unavailable:
        return


class Ears:
    """The one subscription of an event loop. `is_hearing` says whether wake-ups arrive just now."""

    def __init__(self) -> None:
        self.is_hearing = False
        self._listeners: dict[str, set[Callback]] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def listening(self, channel: str, callback: Callback) -> Iterator[None]:
        """Call `callback` at each wake-up of `channel`, inside the block."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="stream-ears")
        self._listeners.setdefault(channel, set()).add(callback)
        try:
            yield
        finally:
            those = self._listeners[channel]
            those.discard(callback)
            if not those:
                del self._listeners[channel]

    async def close(self) -> None:
        """End the subscription."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._hear()
            except (redis.RedisError, OSError) as fault:
                if self.is_hearing:
                    log.warning("streams.deaf", fault=str(fault)[:200])
                self.is_hearing = False
                await asyncio.sleep(_REST_SECONDS)

    async def _hear(self) -> None:
        """Listen until the line breaks. Raises what breaks it."""
        client = redis.asyncio.Redis.from_url(
            settings.REDIS_URL or house.DEFAULT_URL, socket_connect_timeout=house.CONNECT_SECONDS * 4
        )
        async with client, client.pubsub(ignore_subscribe_messages=True) as line:
            await line.subscribe(_CHANNEL)
            self.is_hearing, is_asked = True, False
            self._wake_all()
            while True:
                message = await line.get_message(timeout=_QUIET_SECONDS)
                if message is not None:
                    is_asked = False
                    if message["type"] == "message":
                        self._wake(message["data"].decode())
                elif is_asked:
                    raise redis.ConnectionError("The server says nothing.")
                else:
                    is_asked = True
                    await line.ping()

    def _wake(self, channel: str) -> None:
        for callback in list(self._listeners.get(channel, ())):
            callback()

    def _wake_all(self) -> None:
        for channel in list(self._listeners):
            self._wake(channel)


_ears: tuple[asyncio.AbstractEventLoop, Ears] | None = None


def ears() -> Ears:
    """Return the ears of the running event loop."""
    global _ears
    loop = asyncio.get_running_loop()
    if _ears is None or _ears[0] is not loop:
        _ears = (loop, Ears())
    return _ears[1]


async def woken(channel: str, *, every: float) -> AsyncIterator[None]:
    """Yield at once, and again at each wake-up of `channel` and `every` seconds at the latest. For what few read; what
    many read is a `Feed`. What is woken while the body of the loop runs is not lost."""
    ring = asyncio.Event()
    with ears().listening(channel, ring.set):
        while True:
            ring.clear()
            yield
            try:
                async with asyncio.timeout(every):
                    await ring.wait()
            except TimeoutError:
                continue
