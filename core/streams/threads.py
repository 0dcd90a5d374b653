"""Blocking code beside the event loop: in few threads, each of which gives its database connection back."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
R = TypeVar("R")


class Threads:
    """At most `size` calls at once; the others wait their turn."""

    def __init__(self, name: str, size: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix=name)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `function` returns, called in a thread with a copy of the present context."""
        call = functools.partial(_released, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, copy_context().run, call)


def _released(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return function(*args, **kwargs)
    finally:
        connections.close_all()  # where there is a pool this gives back to it


# A source that waits for a slow provider must not hold up entries and the feeds.
sources, entries, feeds = Threads("stream-source", 8), Threads("stream-entry", 4), Threads("stream-feed", 2)
TOGETHER = 14  # so many connections to the database are in use at most


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what the blocking `function` returns, for sources: eight such calls run at once in a process."""
    return await sources.run(function, *args, **kwargs)
