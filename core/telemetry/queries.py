"""Every query is timed and counted; a slow one is logged, without its parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from core.telemetry import metrics

log = structlog.get_logger(__name__)

SLOW_MILLISECONDS = 100.0
BULK_MILLISECONDS = 1000.0
_VERBS = frozenset({"select", "insert", "update", "delete"})


class Tally:
    """How many queries one request made."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


tally: ContextVar[Tally | None] = ContextVar("countinghouse_query_tally", default=None)

_patience: ContextVar[float | None] = ContextVar("countinghouse_query_patience", default=None)


@contextmanager
def in_bulk() -> Iterator[None]:
    """Inside the block statements write hundreds of rows: only one that takes over a second counts as slow. For
    commands at a terminal, whose own words would drown among the lines otherwise."""
    token = _patience.set(BULK_MILLISECONDS)
    try:
        yield
    finally:
        _patience.reset(token)


def timed(execute: Callable[..., Any], sql: Any, params: Any, many: bool, wrapped: dict[str, Any]) -> Any:
    """The execute wrapper of each connection."""
    counted = tally.get()
    if counted is not None:
        counted.count += 1
    started = time.perf_counter()
    try:
        return execute(sql, params, many, wrapped)
    finally:
        seconds = time.perf_counter() - started
        text = sql if isinstance(sql, str) else ""
        verb = text[:6].lower()
        metrics.QUERY_SECONDS.labels(verb if verb in _VERBS else "other").observe(seconds)
        if seconds * 1000 > (_patience.get() or SLOW_MILLISECONDS):
            log.warning("database.slow_query", milliseconds=round(seconds * 1000, 1), sql=" ".join(text.split())[:1000])


def _install(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if timed not in connection.execute_wrappers:
        connection.execute_wrappers.append(timed)


def install() -> None:
    """Watch every connection from its opening on; called once, when the apps are ready."""
    connection_created.connect(_install, dispatch_uid="core.telemetry.queries")
