"""All streams that one process serves: how many, for whom, and when they must end."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from core import clock, context, limits
from core.errors import AppError, InvalidInput, LimitReached, Unauthenticated, Unavailable
from core.streams import http, threads, tickets
from core.streams.connection import Connection, End
from core.streams.registry import Stream, streams
from core.streams.standing import ACCESS_CHANGED
from core.streams.waking import ears
from core.telemetry import metrics

STOP_SECONDS = 15.0
_LONGEST_EVENT_ID = 200
_CALM_SECONDS = 0.5  # however often access changes, streams are not looked through more often
_TOGETHER_SECONDS = 0.1  # ends are noted together: when a proxy restarts all its streams end in one moment

log = structlog.get_logger("streams")


class House:
    """The open streams of this process."""

    def __init__(self) -> None:
        self._open: dict[UUID, Connection] = {}
        self._ended: set[UUID] = set()
        self._noting: asyncio.Task[None] | None = None
        self._entering = 0
        self.is_stopping = False
        self._look = asyncio.Event()
        self._reviewing: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to look after who reads. Call it inside the event loop."""
        for name in streams:
            metrics.STREAMS_OPEN.labels(name).set(0)
        self._reviewing = asyncio.get_running_loop().create_task(self._review(), name="stream-review")

    async def stop(self) -> None:
        """Let nobody in any more, and send everybody away with a word when to come back."""
        self.is_stopping = True
        open_now = list(self._open.values())
        log.info("streams.stopping", open=len(open_now))
        for each in open_now:
            each.close(End.STOPPING)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.gather(*(each.is_done.wait() for each in open_now))
        if self._reviewing is not None:
            self._reviewing.cancel()
            await asyncio.gather(self._reviewing, return_exceptions=True)
        self._ended |= set(self._open)
        await self._note_ended()
        await ears().close()
        log.info("streams.stopped", left=len(self._open))

    async def serve(self, stream: Stream, asked: http.Asked, receive: http.Receive, send: http.Send) -> None:
        """Let the holder of the ticket in and serve the stream to its end. Raises the `AppError` of a refusal before
        anything is sent."""
        self._check_room()
        self._entering += 1
        try:
            entry = await threads.entries.run(_enter, stream, asked)
        finally:
            self._entering -= 1
        connection = Connection(entry, asked, receive, send)
        gauge = metrics.STREAMS_OPEN.labels(stream.name)
        self._open[entry.id] = connection
        gauge.inc()
        if self.is_stopping:
            connection.close(End.STOPPING)
        end = End.FAILED
        try:
            with context.use(replace(asked.context, organization_id=entry.reader.organization_id)):
                end = await connection.run()
        finally:
            gauge.dec()
            metrics.STREAMS_ENDED.labels(stream.name, str(end)).inc()
            metrics.STREAM_MESSAGES.labels(stream.name).inc(connection.messages)
            del self._open[entry.id]
            self._ended.add(entry.id)
            if self._noting is None or self._noting.done():
                self._noting = asyncio.get_running_loop().create_task(self._note_soon())

    def _check_room(self) -> None:
        if self.is_stopping:
            raise Unavailable("This process stops. Connect again.", headers={"Retry-After": "1"})
        if len(self._open) + self._entering >= settings.STREAMS_PER_PROCESS:
            raise Unavailable("All streams of this process are taken. Try again.", headers={"Retry-After": "5"})

    async def _note_soon(self) -> None:
        while self._ended:
            await asyncio.sleep(_TOGETHER_SECONDS)
            await self._note_ended()

    async def _note_ended(self) -> None:
        """Write down which streams have ended. Best effort: a row that stays open stops counting by itself."""
        ids, self._ended = self._ended, set()
        try:
            if ids:
                await threads.entries.run(tickets.close, ids, clock.now())
        except (DatabaseError, InterfaceError) as fault:
            log.warning("streams.end_not_noted", count=len(ids), fault=str(fault).strip()[:200])

    async def _review(self) -> None:
        """Look through all open streams each minute, and soon after access has changed."""
        with ears().listening(ACCESS_CHANGED, self._look.set):
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(settings.STREAMS_RECHECK_SECONDS):
                        await self._look.wait()
                self._look.clear()
                await self._review_once()
                await asyncio.sleep(_CALM_SECONDS)

    async def _review_once(self) -> None:
        entries = {key: (each.entry.proof, each.entry.basis) for key, each in self._open.items()}
        if not entries:
            return
        try:
            fallen = await threads.entries.run(tickets.review, entries, clock.now())
        except Exception as fault:
            # Whoever reads learns nothing new meanwhile either: every message comes from the database.
            is_known = isinstance(fault, DatabaseError | InterfaceError)
            report = log.warning if is_known else log.exception
            report("streams.not_reviewed", open=len(entries), fault=str(fault).strip()[:200])
            self._look.set()
            return
        for key in fallen & self._open.keys():
            self._open[key].close(End.ACCESS_CHANGED)


def _enter(stream: Stream, asked: http.Asked) -> tickets.Entry:
    """Check the request and spend its ticket. In a thread of its own, with the context of the request."""
    parameters = asked.parameters
    unknown = sorted(set(parameters) - {"ticket", "last_event_id"})
    if unknown:
        raise InvalidInput.at(f"?{unknown[0]}", "There is no such parameter here.", "unknown_parameter")
    last_event_id = asked.headers.get("last-event-id") or parameters.get("last_event_id") or None
    if last_event_id is not None and (len(last_event_id) > _LONGEST_EVENT_ID or not last_event_id.isprintable()):
        raise InvalidInput.at("?last_event_id", "That is no id of an event.", "invalid")
    try:
        return tickets.enter(
            token=parameters.get("ticket", ""), stream=stream, last_event_id=last_event_id, now=clock.now()
        )
    except Unauthenticated:
        limits.check("anonymous", limits.address(asked.context.ip))  # guesses count as requests of nobody
        raise


def refusal_line(asked: http.Asked, error: AppError) -> None:
    """Write the one line of a refused request."""
    refused = log.warning if isinstance(error, LimitReached | Unavailable) else log.info
    refused("stream.refused", path=asked.path, status=error.status, code=error.code)
