"""What Redis remembers of sessions and keys, so that most requests need no query to know who asks.

PostgreSQL is the truth. A cached "alive" must never outlive it, whatever fails and whenever:

* An entry lives `ALIVE_SECONDS`. It is written only where none stands (`NX`), and the reader asks PostgreSQL once
  more after having written it: an end that committed in between is then seen, and the entry removed.
* Who ends a session writes "ask" over its entry *before* the commit (`doubt`) and "ended" after it (`bury`). Readers
  that find "ask" go to PostgreSQL and cannot write "alive" over it; it outlives every older entry. So nothing is stale
  when the process dies between commit and `bury`, nor when the transaction rolls back.
* A flush removes everything: PostgreSQL decides. The second look covers a flush in the middle of a read.
* When Redis cannot be reached, PostgreSQL decides. A process that saw its link to Redis break does not believe "alive"
  for `ALIVE_SECONDS` after that, since ends of the meantime may not have been written; who could not write "ask"
  leaves a job that does so as soon as Redis is back.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from core import redis

ALIVE_SECONDS = 30
_DOUBT_SECONDS = 2 * ALIVE_SECONDS
_BURIED_SECONDS = 16 * 60  # one minute more than an access token lives
_ASK, _ENDED = b"?", b"!"


class Ended(Exception):
    """The cache knows that it has ended."""


class _Trust:
    """Whether what stands in the cache may be believed."""

    def __init__(self) -> None:
        self._seen_breaks = 0
        self._not_before = 0.0

    def holds(self) -> bool:
        if redis.gate.breaks != self._seen_breaks:
            self._seen_breaks = redis.gate.breaks
            self._not_before = time.monotonic() + ALIVE_SECONDS
        return time.monotonic() >= self._not_before

    def restore(self) -> None:
        """Believe again at once (tests)."""
        self._seen_breaks, self._not_before = redis.gate.breaks, 0.0


trust = _Trust()


def session_key(session_id: UUID) -> str:
    return f"session:{session_id.hex}"


def api_key_key(lookup: str) -> str:
    return f"apikey:{lookup}"


def get(key: str) -> bytes | None:
    """Return what is known to be alive, None when PostgreSQL must be asked. Raises `Ended`."""
    try:
        found: Any = redis.ask(lambda server: server.get(key))
    except redis.Unavailable:
        trust.holds()
        return None
    if found == _ENDED:
        raise Ended
    return found if found is not None and found != _ASK and trust.holds() else None


def remember(key: str, value: bytes) -> bool:
    """Write "alive" unless something stands there; whether it was written. The caller then looks again."""
    try:
        return bool(redis.ask(lambda server: server.set(key, value, nx=True, ex=ALIVE_SECONDS)))
    except redis.Unavailable:
        return False


def doubt(keys: Iterable[str]) -> bool:
    """Make readers ask PostgreSQL for a minute. Call it before the commit of what changes; whether Redis took it."""
    return _write(keys, _ASK, _DOUBT_SECONDS)


def bury(keys: Iterable[str]) -> bool:
    """Say that they have ended. Call it after the commit; whether Redis took it."""
    return _write(keys, _ENDED, _BURIED_SECONDS)


def _write(keys: Iterable[str], value: bytes, seconds: int) -> bool:
    names = list(keys)
    if not names:
        return True

    def write(server: Any) -> None:
        pipe = server.pipeline(transaction=False)
        for name in names:
            pipe.set(name, value, ex=seconds)
        pipe.execute()

    try:
        redis.ask(write)
    except redis.Unavailable:
        return False
    return True
