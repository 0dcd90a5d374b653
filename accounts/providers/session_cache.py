"""What Redis remembers of sessions and keys, so that most requests need no query to know who asks.

PostgreSQL is the truth. A cached "alive" must never outlive it, whatever fails and whenever:

* An entry lives `ALIVE_SECONDS`. It is written only where none stands (`NX`), and the reader asks PostgreSQL once
  more after having written it: an end that committed in between is then seen, and the entry removed.
* Who ends a session writes "ask" over its entry *before* the commit (`doubt`) and "ended" after it (`bury`). Readers
  that find "ask" go to PostgreSQL and cannot write "alive" over it; it outlives every older entry. So nothing is stale
  when the process dies between commit and `bury`, nor when the transaction rolls back.
* A flush removes everything: PostgreSQL decides. The second look covers a flush in the middle of a read.
* When Redis cannot be reached, PostgreSQL decides. Who could not write "ask" leaves a job that does so as soon as Redis
  is back. With each new link to Redis a process finds out whether to believe what stands there: not while such a job
  waits, and not when the server is another than the one that the entries were written to (it was started anew with an
  older memory, or a replica took over). Then PostgreSQL decides until every older entry has expired.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from accounts.permissions import revision
from core import redis
from core.models import Job

ALIVE_SECONDS = 30
_DOUBT_SECONDS = 2 * ALIVE_SECONDS
_BURIED_SECONDS = 16 * 60  # one minute more than an access token lives
_ASK, _ENDED = b"?", b"!"
_RUN, _STRANGER = "session:run", "session:stranger"
DOUBT_JOB = "accounts.doubt_sessions"


class Ended(Exception):
    """The cache knows that it has ended."""


class _Trust:
    """Whether what stands in the cache may be believed."""

    def __init__(self) -> None:
        self._seen_breaks = -1
        self._not_before = 0.0
        self._run = ""

    def holds(self) -> bool:
        """Whether "alive" may be believed now; finds out once for each new link."""
        breaks = redis.gate.breaks
        if breaks != self._seen_breaks:
            if not redis.ask(self._is_same_server) or _is_doubt_missing():
                self._not_before = time.monotonic() + ALIVE_SECONDS
            self._seen_breaks = breaks
        return time.monotonic() >= self._not_before

    def mark(self, server: Any) -> None:
        """Say which server the entries are written to (again after a flush)."""
        server.set(_RUN, self._run, nx=True)

    def _is_same_server(self, server: Any) -> bool:
        """Compare the server with the one of the mark; a stranger's entries are believed by nobody for a while. One
        without the mark holds no entries."""
        self._run = str(server.info("server")["run_id"])
        mark, is_doubted = server.mget(_RUN, _STRANGER)
        if mark is not None and mark.decode() != self._run:
            server.set(_STRANGER, b"1", ex=ALIVE_SECONDS)  # first, for whoever looks in between
            server.set(_RUN, self._run)
            return False
        server.set(_RUN, self._run, nx=True)
        return is_doubted is None

    def restore(self) -> None:
        """Begin anew, as a process that saw nothing (tests)."""
        self._seen_breaks, self._not_before = -1, 0.0


def _is_doubt_missing() -> bool:
    """Whether somebody could not write "ask" and the job that makes up for it has not run yet."""
    return Job.objects.filter(kind=DOUBT_JOB, state__in=("queued", "running")).exists()


trust = _Trust()


def session_key(session_id: UUID) -> str:
    return f"session:{session_id.hex}"


def api_key_key(lookup: str) -> str:
    return f"apikey:{lookup}"


def get(key: str) -> bytes | None:
    """Return what is known to be alive, None when PostgreSQL must be asked. Raises `Ended`. What stands beside it says
    whether tuples changed: kept answers are then looked after, at no further round trip."""
    found: Any
    epoch: Any
    try:
        found, epoch = redis.ask(lambda server: server.mget(key, revision.EPOCH))
        revision.heard(epoch)
        if found == _ENDED:
            raise Ended
        return found if found is not None and found != _ASK and trust.holds() else None
    except redis.Unavailable:
        return None


def remember(key: str, value: bytes) -> bool:
    """Write "alive" unless something stands there; whether it was written. The caller then looks again."""

    def write(server: Any) -> bool:
        pipe = server.pipeline(transaction=False)
        trust.mark(pipe)
        pipe.set(key, value, nx=True, ex=ALIVE_SECONDS)
        return bool(pipe.execute()[1])

    try:
        return trust.holds() and redis.ask(write)
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
