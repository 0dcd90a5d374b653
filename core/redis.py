"""The one place that makes the Redis or Valkey client for limits, cache versions and breaker state.

Redis is never the truth, so nothing waits for it: time-outs are short, and once it failed this process does not ask
again for a second (`Unavailable` is raised at once instead). It is asked again by itself after that.
"""

from __future__ import annotations

import functools
import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

CONNECT_SECONDS = 0.25
ANSWER_SECONDS = 0.5
REST_SECONDS = 1.0
DEFAULT_URL = "redis://127.0.0.1:6379/0"

R = TypeVar("R")


class Script:
    """A Lua script, sent by its digest; the text travels only when the server does not know it yet."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def run(self, server: redis.Redis, keys: Sequence[str], arguments: Sequence[object]) -> Any:
        """Run the script by `server` and return its answer (bytes and integers)."""
        parameters: tuple[Any, ...] = (*keys, *arguments)
        try:
            return server.evalsha(self.digest, len(keys), *parameters)
        except redis.exceptions.NoScriptError:
            return server.eval(self.text, len(keys), *parameters)


class Unavailable(Exception):
    """Redis cannot be asked now. Each caller knows what to do without it."""


class _Gate:
    """Whether Redis is worth asking, and how often a link to it broke or was made anew."""

    def __init__(self) -> None:
        self.closed_until = 0.0
        self.breaks = 0

    def broke(self) -> None:
        self.breaks += 1

    def close(self) -> None:
        self.broke()
        self.closed_until = time.monotonic() + REST_SECONDS

    def reopen(self) -> None:
        self.closed_until = 0.0

    @property
    def is_closed(self) -> bool:
        return time.monotonic() < self.closed_until


gate = _Gate()


def _connected(connection: Any) -> None:
    """Note each new link: what was said to the server before it, by anybody, may not have arrived."""
    connection.on_connect()
    gate.broke()


def options() -> dict[str, Any]:
    """Return the connection options that every client of the house has (seconds)."""
    return {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "retry": Retry(NoBackoff(), 1),
        "redis_connect_func": _connected,
    }


@functools.cache
def _client(url: str) -> redis.Redis:
    kwargs = options()
    if url.startswith("unix:"):
        kwargs.pop("socket_connect_timeout")
    return redis.Redis.from_url(url, **kwargs)


_lock = threading.Lock()


def client() -> redis.Redis:
    """Return the client of this process. It answers in bytes; it is safe between threads and after a fork."""
    with _lock:
        return _client(settings.REDIS_URL or DEFAULT_URL)


def ask(question: Callable[[redis.Redis], R]) -> R:
    """Return what `question` returns, given the client. Raises `Unavailable` when Redis cannot be reached, is loading,
    read-only or full, and at once while it rests after a failure."""
    if gate.is_closed:
        raise Unavailable("Redis did not answer a moment ago.")
    try:
        answer = question(client())
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, redis.ReadOnlyError) as fault:
        gate.close()
        raise Unavailable(str(fault)) from fault
    except redis.OutOfMemoryError as fault:
        raise Unavailable(str(fault)) from fault
    gate.reopen()
    return answer


def is_reachable() -> bool:
    """Whether Redis answers a PING now (asked even while it rests)."""
    gate.reopen()
    try:
        return bool(ask(lambda server: server.ping()))
    except Unavailable:
        return False
