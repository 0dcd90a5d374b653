"""Streams that do one odd thing each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from django.db import connection

from core.errors import Forbidden, RuleBroken
from core.streams import Message, Reader, in_thread, stream, woken
from tests.support.toy_streams import EVERY_SECONDS


def refuse_the_impolite(reader: Reader) -> None:
    if reader.parameters.get("word") == "rude":
        raise Forbidden("Say please.")


@stream("tests.count", check=refuse_the_impolite, parameters=("to", "word"))
async def count(reader: Reader) -> AsyncIterator[Message]:
    """Count from where the reader was."""
    first = int(reader.last_event_id or 0) + 1
    for number in range(first, int(reader.parameters.get("to", 3)) + 1):
        yield Message(id=str(number), event="number", data={"number": number, "actor": reader.actor.principal})


@stream("tests.silent")
async def silent(reader: Reader) -> AsyncIterator[Message]:
    """Say nothing."""
    await asyncio.Event().wait()
    yield Message()


@stream("tests.flood")
async def flood(reader: Reader) -> AsyncIterator[Message]:
    """Say more than anybody can read."""
    while True:
        yield Message(data={"text": "x" * 100_000})


@stream("tests.rule")
async def rule(reader: Reader) -> AsyncIterator[Message]:
    yield Message(id="1")
    raise RuleBroken("Not any further.")


@stream("tests.crash")
async def crash(reader: Reader) -> AsyncIterator[Message]:
    yield Message(id="1")
    raise ValueError("a secret of ours")


@stream("tests.rung")
async def rung(reader: Reader) -> AsyncIterator[Message]:
    """Say something at each wake-up, and each `EVERY_SECONDS`."""
    number = 0
    async for _ in woken("tests.bell", every=EVERY_SECONDS):
        number += 1
        yield Message(data={"number": number, "backend": await in_thread(_backend)})


def _backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])
