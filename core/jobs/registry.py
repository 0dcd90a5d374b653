"""What kinds of jobs there are, and what a handler is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, TypeAlias
from uuid import UUID

from core.actor import Actor
from core.context import Context

Handler: TypeAlias = "Callable[[JobRun], dict[str, Any] | None]"

kinds: dict[str, Kind] = {}


class Priority(IntEnum):
    """What staff wait for goes first; bulk work goes last."""

    HIGH = 0
    NORMAL = 5
    LOW = 9


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job. `backoff` seconds is the first window of the full-jitter wait, doubled with each attempt;
    `time_limit` seconds bound one attempt; `deadline` says how long after its enqueuing an attempt may still begin."""

    name: str
    handler: Handler
    max_attempts: int
    backoff: float
    time_limit: int
    priority: Priority
    deadline: timedelta | None


class LeaseLost(Exception):
    """Another worker has this job by now; nothing may be written any more."""


@dataclass(slots=True)
class JobRun:
    """One attempt, as its handler sees it. `now` is the clock, read once; `attempt` counts from 1."""

    job_id: UUID
    payload: dict[str, Any]
    actor: Actor
    context: Context
    now: datetime
    attempt: int = 1
    is_key_freed: bool = field(default=False, init=False)
    _report: Callable[[int, int | None], None] = field(default=lambda done, total: None, repr=False)

    def progress(self, done: int, total: int | None = None) -> None:
        """Tell how far the work is, for who waits. Raises `LeaseLost` when another worker has the job by now."""
        self._report(done, total)

    def free_key(self) -> None:
        """Say that the work could not be done as things stand, so that the same may be asked for again later: when the
        attempt ends well the job gives up its unique key."""
        self.is_key_freed = True


def job(
    name: str,
    *,
    max_attempts: int = 3,
    backoff: float = 2.0,
    time_limit: int = 300,
    priority: Priority = Priority.NORMAL,
    deadline: timedelta | None = None,
) -> Callable[[Handler], Handler]:
    """Declare the handler of a kind of job (`app.verb_object`). It must be idempotent: it may run more than once.

    It runs outside of any transaction. A retryable `AppError` and any unexpected exception are tried again,
    `max_attempts` times in all; another `AppError` goes to the dead letters at once.
    """

    def declare(handler: Handler) -> Handler:
        known = kinds.get(name)
        assert known is None or known.handler.__qualname__ == handler.__qualname__, f"job {name} is declared twice"
        kinds[name] = Kind(name, handler, max_attempts, backoff, time_limit, priority, deadline)
        return handler

    return declare


def kind_of(name: str) -> Kind:
    """Return the kind. Raises LookupError, since a job that nobody can run must not be made."""
    try:
        return kinds[name]
    except KeyError:
        raise LookupError(f"No job is declared as {name!r}; known are {', '.join(sorted(kinds))}.") from None
