"""What this process knows of changes to tuples and models, so that answers can be kept while nothing changes.

A *generation* is a number that rises when tuples of a store changed: an answer kept under one is never served under
the next. Who wants the present one may have to wait for a statement, if none was asked for `RECHECK_SECONDS`:

* The statement asks whether the change log holds a row of a transaction that the snapshot before did not see, and
  takes a new snapshot. These are the transactions that were open then, and all that began later: probes of an index,
  however long a transaction stays open. Writers need not know who reads, update no row in common, and may be killed.
* In the process that writes the statement is due with the commit, before any other hook of the commit runs. Until then
  the transaction that wrote passes by what is kept (`is_written`), alone. The mark lies among the connection's commit
  hooks, where Django removes it when the transaction, or the savepoint inside of which was written, is rolled back.
* In the others it is due at once where Redis is up: an epoch there rises after the commit, and comes along with what is
  read there for each request (`heard`). Nothing depends on it: who was killed before is found out by the statement.

A server that was started anew, or another that took over, is told by the moment it started: everything is forgotten.
All of this is right for READ COMMITTED, as the product runs: in a transaction of one snapshot pass the cache by.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import connection, transaction

from core import redis

RECHECK_SECONDS: Final = 0.8
EPOCH: Final = "permissions:epoch"  # in Redis

# `max` below a bound is one probe of the index, by whatever plan; EXISTS may be planned as a scan that hopes to meet a
# row soon, and mostly there is none.
_SEEN: Final = """
SELECT pg_current_snapshot()::text, pg_current_xact_id_if_assigned()::text::bigint,
    pg_postmaster_start_time()::text,
    (SELECT max(id) FROM accounts_permissionmodel WHERE store_id = %(store)s),
    COALESCE((SELECT max(transaction) FROM accounts_relationchange WHERE store_id = %(store)s) >= %(next)s, false)
    OR EXISTS (
        SELECT FROM unnest(%(open)s::bigint[]) AS past(number)
        WHERE number = (
            SELECT max(transaction) FROM accounts_relationchange
            WHERE store_id = %(store)s AND transaction <= past.number
        )
    )
"""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of a store: nothing changed since `generation` was made, as it stood at `checked_at` (monotonic)
    in the snapshot in which transactions from `next` on and those that were `open` could not be seen."""

    generation: int
    checked_at: float
    next: int
    open: list[int]
    server: str
    newest_model: int | None


class _Knowledge:
    """What one process knows."""

    def __init__(self) -> None:
        self.stores: dict[int, _Seen] = {}
        self.names: dict[str, int] = {}
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.epoch: bytes | None = None
        self.heard_at = float("-inf")


_known = _Knowledge()


def forget() -> None:
    """Know nothing any more: a new process, or a new test."""
    global _known
    numbers = _known.numbers  # no generation comes twice
    _known = _Knowledge()
    _known.numbers = numbers


os.register_at_fork(after_in_child=forget)


def generation(store_id: int) -> int:
    """Return the number under which answers of a store may be kept and found now. Take it before the question is asked,
    so that an answer that was overtaken by a change is kept where nobody looks."""
    return _now(store_id).generation


def newest_model_id(store_name: str) -> int | None:
    """Return the store's newest model, None when it has none or there is no such store. Asks nothing while it is known;
    in a transaction that wrote a model it asks each time."""
    from accounts.permissions.models import PermissionModel, PermissionStore

    if any(hook.is_model for hook in _hooks()):
        models = PermissionModel.objects.filter(store__name=store_name)
        return models.order_by("-id").values_list("id", flat=True).first()
    store_id = _known.names.get(store_name)
    if store_id is not None and (newest := _now(store_id).newest_model) is not None:
        return newest
    store_id = PermissionStore.objects.filter(name=store_name).values_list("id", flat=True).first()
    if store_id is None:
        return None
    _known.names[store_name] = store_id
    return _now(store_id).newest_model


def written(*, is_model: bool = False) -> None:
    """Say that tuples, or a model, were written in the present transaction, or just now where there is none."""
    if any(hook.is_model >= is_model for hook in _hooks()):
        return
    if not connection.in_atomic_block:
        _Committed(is_model)()
        return
    transaction.on_commit(_Committed(is_model), robust=True)
    hooks = connection.run_on_commit
    hooks.insert(0, hooks.pop())  # the hooks of others must not find what was before


def is_written() -> bool:
    """Whether the present transaction wrote, and has neither ended nor taken it back."""
    return next(_hooks(), None) is not None


def _hooks() -> Iterator[_Committed]:
    return (hook[1] for hook in connection.run_on_commit if type(hook[1]) is _Committed)


def heard(epoch: bytes | None) -> None:
    """Take notice of the epoch in Redis: one that differs from the last makes the statement due."""
    if epoch != _known.epoch:
        _known.epoch = epoch
        _known.heard_at = time.monotonic()


@dataclass(frozen=True, slots=True)
class _Committed:
    """The commit of a transaction that wrote."""

    is_model: bool

    def __call__(self) -> None:
        _known.heard_at = time.monotonic()
        try:
            redis.ask(lambda server: server.incr(EPOCH))
        except redis.Unavailable:
            return  # the others ask by themselves in a moment


def _now(store_id: int) -> _Seen:
    seen = _known.stores.get(store_id)
    if seen is None or seen.checked_at <= max(_known.heard_at, time.monotonic() - RECHECK_SECONDS):
        return _look(store_id, seen)
    return seen


def _look(store_id: int, before: _Seen | None) -> _Seen:
    """Ask what changed since `before`. Several threads may at once: whoever saw a change raises the generation, and
    what was asked last stays known."""
    known, began = _known, time.monotonic()
    snapshot, own, server, newest, is_changed = _ask(store_id, before)
    _xmin, following, in_progress = snapshot.split(":")
    is_open = [int(number) for number in in_progress.split(",") if number]
    if own is not None:
        is_open.append(own)  # a snapshot does not count the transaction that took it
    with known.lock:
        present = known.stores.get(store_id)
        if before is None or present is None or before.server != server or is_changed:
            number = next(known.numbers)
        else:
            number = present.generation
        if present is None or began >= present.checked_at:
            found = _Seen(number, began, int(following), is_open, server, newest)
        else:
            found = replace(present, generation=number)
        known.stores[store_id] = found
    return found


def _ask(store_id: int, before: _Seen | None) -> tuple[Any, ...]:
    asked: dict[str, Any] = {
        "store": store_id,
        "next": before.next if before else 2**63 - 1,
        "open": before.open if before else [],
    }
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, asked)
        row: tuple[Any, ...] = cursor.fetchone()
    return row
