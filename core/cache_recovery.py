"""What the cache missed while Redis was away, and how it is made up for before Redis is trusted again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import structlog
from django.db import connections

from core import redis
from core.relay import HeldLease, duty

log = structlog.get_logger(__name__)

EPOCH = "version:epoch"  # every entry depends on it
_RUN = "cache:run"
MOVE = redis.Script(Path(__file__).parent / "cache_move.lua")

_BATCH = 1000
_seen_breaks = 0
_generation = 0
_lock = threading.Lock()


def note(keys: list[str]) -> None:
    """Write down, in the present transaction, versions that Redis could not be told to move."""
    from core.models import MissedInvalidation

    MissedInvalidation.objects.create(version_keys=keys)


def make_up() -> int:
    """Once after each new or broken link: move what was missed, and everything when Redis lost its memory.

    Returns a number that rises whenever anything was moved. Raises `Unavailable` when it cannot be done now; nothing
    of the cache is to be trusted then.
    """
    global _seen_breaks, _generation
    if redis.gate.breaks == _seen_breaks:
        return _generation
    with _lock:
        breaks = redis.gate.breaks
        if breaks == _seen_breaks:
            return _generation
        moved = redis.ask(_compare_run)  # first, since it fails at once while Redis is still away
        while (found := fold()) > 0:
            moved = True
            if found < _BATCH:
                break
        _seen_breaks = max(breaks, _seen_breaks)
        _generation += moved
    return _generation


def fold() -> int:
    """Move the versions of all missed invalidations and forget these; returns how many there were.

    Works on a connection of its own in a thread of its own: the caller may stand in a transaction that must not see,
    nor be broken by, this.
    """
    result: list[int | Exception] = []
    thread = threading.Thread(target=lambda: result.append(_fold_in_thread()), name="cache-recovery")
    thread.start()
    thread.join()
    (found,) = result
    if isinstance(found, Exception):
        raise redis.Unavailable(f"What the cache missed cannot be made up for now: {found!r}") from found
    return found


def _fold_in_thread() -> int | Exception:
    from core.models import MissedInvalidation

    try:
        missed = dict(MissedInvalidation.objects.order_by("id").values_list("id", "version_keys")[:_BATCH])
        keys = sorted({key for some in missed.values() for key in some})
        if keys:
            redis.ask(lambda server: MOVE.run(server, keys, ["move", "", 0]))
            MissedInvalidation.objects.filter(id__in=missed).delete()
            log.info("cache.made_up", missed=len(missed))
        return len(missed)
    except Exception as fault:
        return fault
    finally:
        connections.close_all()


def _compare_run(server: Any) -> bool:
    """A server that was started anew may have come back with an older memory: then everything is forgotten."""
    run: str = server.info("server")["run_id"]
    known = server.getset(_RUN, run)
    if known is None or known.decode() == run:  # one without the mark holds no entry: the mark is set before any
        return False
    MOVE.run(server, [EPOCH], ["move", "", 0])
    return True


@duty("make up for missed invalidations", every=1, order=60)
def fold_duty(lease: HeldLease) -> int:
    """The relay's part: make up also for what processes with a sound link did not notice. Twice does no harm, so
    that the lease need not be held."""
    from core.models import MissedInvalidation

    if not MissedInvalidation.objects.exists():
        return 0
    try:
        return fold()
    except redis.Unavailable as fault:
        log.warning("cache.recovery_waits", fault=str(fault))
        return 0
