"""Rows as they change, for many readers by one query a round.

Two thousand open streams must not be two thousand pollers. A feed keeps, for each key (a person, say), the position up
to which its readers have seen everything, and asks for all keys at once what lies behind: right after a wake-up for
those that were woken, and every few seconds for all, since a wake-up can be lost.

What makes it exact is the position, not the feed: positions of one key must become visible in their order. Ids made in
the order of time do not (a transaction that began earlier may commit later); a counter that is locked until the commit
does, as in `notifications.models.positions`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

import structlog
from django.db import DatabaseError, InterfaceError

from core.streams import threads
from core.streams.messages import Message
from core.streams.waking import ears

K = TypeVar("K", bound=Hashable)
Row: TypeAlias = tuple[int, Message | None]
Read: TypeAlias = Callable[[Mapping[K, int]], Mapping[K, Sequence[Row]]]

_MOST_PENDING = 500
_REST_AFTER_FAULT = 1.0

log = structlog.get_logger(__name__)


class _Follower(Generic[K]):
    """One reader: up to where it was handed the rows, and what it has not taken yet."""

    __slots__ = ("key", "pending", "position", "ring")

    def __init__(self, key: K, position: int) -> None:
        self.key, self.position = key, position
        self.pending: deque[Message] = deque()
        self.ring = asyncio.Event()

    @property
    def has_room(self) -> bool:
        return len(self.pending) < _MOST_PENDING

    def hand(self, found: Sequence[Row], behind: int) -> None:
        """Take what was found behind a position. Who stood before that position (it came, or had no room, while the
        query ran) takes nothing: rows in between would be missing. It is looked for in the next round."""
        if self.position < behind:
            return
        for position, message in found:
            if position > self.position and self.has_room:
                self.position = position
                if message is not None:
                    self.pending.append(message)
        if self.pending:
            self.ring.set()


class Feed(Generic[K]):
    """`read({key: position})` returns, by one query, what lies behind each position, in order and a page at most; None
    in place of a message moves the position on and tells nothing (a row that the reader may not see any more).
    `channel(key)` is what is woken for it. Seconds between polls: `every` while wake-ups arrive, `alone` while not."""

    def __init__(self, read: Read[K], *, channel: Callable[[K], str], every: float = 5.0, alone: float = 1.0) -> None:
        self._read, self._channel = read, channel
        self._every, self._alone = every, alone
        self._followers: dict[K, set[_Follower[K]]] = {}
        self._dirty: set[K] = set()
        self._ring = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def follow(self, key: K, after: int) -> AsyncIterator[Message]:
        """Yield what lies behind position `after`, and then whatever comes, until the reader leaves."""
        follower = _Follower(key, after)
        with ears().listening(self._channel(key), lambda: self._look(key)):
            self._followers.setdefault(key, set()).add(follower)
            self._start()
            self._look(key)
            try:
                while True:
                    while follower.pending:
                        yield follower.pending.popleft()
                        if len(follower.pending) == _MOST_PENDING // 2:
                            self._look(key)  # it may have been full, and has room again
                    follower.ring.clear()
                    await follower.ring.wait()
            finally:
                self._leave(follower)

    def _look(self, key: K) -> None:
        self._dirty.add(key)
        self._ring.set()

    def _leave(self, follower: _Follower[K]) -> None:
        those = self._followers[follower.key]
        those.discard(follower)
        if not those:
            del self._followers[follower.key]

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._ring = asyncio.Event()
            self._task = loop.create_task(self._run(), name="stream-feed")

    async def _run(self) -> None:
        """Read a round at a time for as long as anybody follows."""
        while self._followers:
            keys: Collection[K] = self._dirty
            if not keys:
                is_woken = await self._wait()
                keys = self._dirty if is_woken else list(self._followers)
            self._dirty = set()
            self._ring.clear()
            await self._round(keys)

    async def _wait(self) -> bool:
        """Wait for a wake-up, or for the time of the next poll; whether it was a wake-up."""
        try:
            async with asyncio.timeout(self._every if ears().is_hearing else self._alone):
                await self._ring.wait()
        except TimeoutError:
            return False
        return True

    async def _round(self, keys: Collection[K]) -> None:
        behind: dict[K, int] = {}
        for key in keys:
            positions = [each.position for each in self._followers.get(key, ()) if each.has_room]
            if positions:
                behind[key] = min(positions)
        if not behind:
            return
        try:
            found = await threads.feeds.run(self._read, behind)
        except Exception as fault:
            # The database may be gone for a while. The readers stay and lose nothing: their positions stand.
            is_known = isinstance(fault, DatabaseError | InterfaceError)
            report = log.warning if is_known else log.exception
            report("streams.feed_failed", readers=len(behind), fault=str(fault).strip()[:200])
            self._dirty |= set(behind)
            await asyncio.sleep(_REST_AFTER_FAULT)
            return
        for key, rows in found.items():
            for each in list(self._followers.get(key, ())):
                each.hand(rows, behind[key])
        if found:
            self._dirty |= set(behind)  # there may be another page, with rows of any of them
