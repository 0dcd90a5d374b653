"""A feed, one query for many readers, inside one event loop and over rows in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any

from core.streams import Feed, Message

PAGE = 100


class Rows:
    """What a feed reads: numbers up to `last` for every key. `may_read` holds a query up that has begun."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.asked: list[dict[str, int]] = []
        self.is_reading, self.may_read = threading.Event(), threading.Event()
        self.may_read.set()

    def read(self, positions: Mapping[str, int]) -> dict[str, list[tuple[int, Message]]]:
        self.asked.append(dict(positions))
        found = {
            key: [(number, Message(id=str(number))) for number in range(after + 1, min(after + PAGE, self.last) + 1)]
            for key, after in positions.items()
        }
        self.is_reading.set()
        assert self.may_read.wait(10)
        return {key: rows for key, rows in found.items() if rows}


def feed(rows: Rows) -> Feed[str]:
    return Feed(rows.read, channel=lambda key: f"tests:{key}", every=0.2, alone=0.2)


async def take(source: AsyncIterator[Message], count: int) -> list[int]:
    return [int((await asyncio.wait_for(anext(source), 10)).id or 0) for _ in range(count)]


def test_gives_each_reader_everything_behind_its_own_position() -> None:
    async def scenario() -> None:
        known = feed(Rows(last=1234))
        readers = [known.follow("a", 0), known.follow("a", 700), known.follow("b", 1000)]
        found: list[Any] = await asyncio.gather(take(readers[0], 1234), take(readers[1], 534), take(readers[2], 234))
        assert found == [list(range(1, 1235)), list(range(701, 1235)), list(range(1001, 1235))]

    asyncio.run(scenario())


def test_skips_nothing_for_who_comes_while_a_query_runs() -> None:
    async def scenario() -> None:
        rows = Rows(last=950)
        known = feed(rows)
        rows.may_read.clear()
        early = asyncio.ensure_future(take(known.follow("a", 900), 50))
        await asyncio.to_thread(rows.is_reading.wait, 10)
        late = asyncio.ensure_future(take(known.follow("a", 0), 950))
        await asyncio.sleep(0.1)
        rows.may_read.set()
        assert await early == list(range(901, 951))
        assert await late == list(range(1, 951))

    asyncio.run(scenario())


def test_skips_nothing_for_who_had_no_room_when_a_query_began() -> None:
    async def scenario() -> None:
        rows = Rows(last=2000)
        known = feed(rows)
        slow, quick = known.follow("a", 0), known.follow("a", 0)
        assert await take(slow, 1) == [1]
        assert await take(quick, 2000) == list(range(1, 2001)), "the slow one is full by now, and holds nobody up"
        rows.is_reading.clear()
        rows.may_read.clear()
        rows.last = 2050
        await asyncio.to_thread(rows.is_reading.wait, 10)
        part = await take(slow, 400)
        rows.may_read.set()
        assert part + await take(slow, 1649) == list(range(2, 2051))
        assert await take(quick, 50) == list(range(2001, 2051))

    asyncio.run(scenario())


def test_asks_once_a_round_however_many_read() -> None:
    async def scenario() -> None:
        rows = Rows(last=0)
        known = feed(rows)
        readers = [asyncio.ensure_future(anext(known.follow(f"person {number}", 0))) for number in range(300)]
        await asyncio.sleep(1.1)
        assert 4 <= len(rows.asked) <= 9
        assert len(rows.asked[-1]) == 300
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        count = len(rows.asked)
        await asyncio.sleep(0.6)
        assert len(rows.asked) <= count + 1, "nobody reads, nobody asks"

    asyncio.run(scenario())


def test_goes_on_when_a_query_failed(monkeypatch: Any) -> None:
    async def scenario() -> None:
        rows = Rows(last=3)
        known, faults = feed(rows), [ValueError("odd"), OSError("gone")]

        def read(positions: Mapping[str, int]) -> Any:
            if faults:
                raise faults.pop()
            return rows.read(positions)

        monkeypatch.setattr(known, "_read", read)
        assert await take(known.follow("a", 0), 3) == [1, 2, 3]

    asyncio.run(scenario())
