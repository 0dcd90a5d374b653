"""Answers of the permission engine, kept in this process while nothing changes (see `revision` for how it knows).

    cache.checked(engine, "user:ann", "viewer", "document:1")

What is kept stands under everything that the answer follows from: the generation of the tuples, the model, the
question, the tuples that the request brings along, and its context. A condition knows its parameters alone and no
clock, so an answer that met one may be kept too, for the same context. Where no condition can be met the context does
not count, and is left out. A refusal is never kept.

A transaction that wrote tuples passes the cache by, until it ends. Nothing is removed when tuples change: what is old
is not found any more, and goes when room is needed.
"""

from __future__ import annotations

import marshal
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

from django.conf import settings

from accounts.permissions import revision
from accounts.permissions.engine import Engine
from accounts.permissions.faults import Refused
from accounts.permissions.language.model import Pair
from accounts.permissions.tuples import Given, Tuple
from core.telemetry import metrics

LONGEST_LIST: Final = 1000  # a longer one is not kept

_Key: TypeAlias = tuple[Any, ...]
_NOTHING: Final = object()
_HIT, _MISS, _BYPASS = (metrics.CACHE_REQUESTS.labels("permission", each) for each in ("hit", "miss", "bypass"))


class _Kept:
    """Two dictionaries: what was used since the younger one was begun, and what was used before that. When the younger
    is half of what may be kept, the older one goes. A list counts as many as it has items."""

    def __init__(self) -> None:
        self._young: dict[_Key, Any] = {}
        self._old: dict[_Key, Any] = {}
        self._weight = 0
        self._lock = threading.Lock()

    def get(self, key: _Key) -> Any:
        found = self._young.get(key, _NOTHING)
        if found is _NOTHING:
            found = self._old.get(key, _NOTHING)
            if found is not _NOTHING:
                self.put(key, found)
        return found

    def put(self, key: _Key, value: Any) -> None:
        with self._lock:
            self._young[key] = value
            self._weight += max(1, len(value)) if isinstance(value, tuple) else 1
            if self._weight >= settings.PERMISSION_CACHE_ENTRIES // 2:
                self._old, self._young, self._weight = self._young, {}, 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


_kept = _Kept()


def forget() -> None:
    """Forget everything: a new process, or a new test."""
    global _kept
    _kept = _Kept()
    revision.forget()


os.register_at_fork(after_in_child=forget)


def checked(
    engine: Engine, subject: str, relation: str, target: str, given: Given = (), context: Mapping[str, Any] = {}
) -> bool:
    """Return what `engine.check` returns, or returned while nothing has changed. Raises what it raises."""
    brought = tuple(given)
    place = _place(engine, relation, target, brought, context)
    if place is None:
        return engine.check(subject, relation, target, brought, context)
    key = (*place, subject, relation, target)
    found: bool = _found(key)
    if found is _NOTHING:
        found = engine.check(subject, relation, target, brought, context)
        _kept.put(key, found)
    return found


def checked_many(
    engine: Engine,
    questions: Sequence[tuple[str, str, str]],
    given: Given = (),
    context: Mapping[str, Any] = {},
) -> list[bool | Refused]:
    """Return what `engine.check_many` returns for (subject, relation, object) each; only what is not kept is asked, in
    one round trip."""
    brought = tuple(given)
    keys: list[_Key | None] = []
    for subject, relation, target in questions:
        place = _place(engine, relation, target, brought, context)
        keys.append((*place, subject, relation, target) if place is not None else None)
    return _many(keys, lambda missing: engine.check_many([questions[index] for index in missing], brought, context))


def objects(
    engine: Engine, subject: str, relation: str, of_type: str, given: Given = (), context: Mapping[str, Any] = {}
) -> tuple[str, ...]:
    """Return what `engine.list_objects` returns, or returned while nothing has changed. Raises what it raises."""
    pair = (of_type, relation)
    return objects_by_relation(engine, subject, [pair], given, context)[pair]


def objects_by_relation(
    engine: Engine,
    subject: str,
    relations: Collection[Pair],
    given: Given = (),
    context: Mapping[str, Any] = {},
) -> dict[Pair, tuple[str, ...]]:
    """Return the objects by type and relation; only what is not kept is asked. Raises what `list_objects` raises."""
    brought, pairs = tuple(given), list(dict.fromkeys(relations))
    keys: list[_Key | None] = []
    for of_type, relation in pairs:
        place = _place(engine, relation, of_type, brought, context)
        keys.append((*place, "list", subject, relation, of_type) if place is not None else None)

    def ask(missing: Sequence[int]) -> list[tuple[str, ...]]:
        asked = [pairs[index] for index in missing]
        found = engine.objects_by_relation(subject, asked, brought, context)
        return [tuple(found[pair]) for pair in asked]

    return dict(zip(pairs, _many(keys, ask), strict=True))


def _many(keys: Sequence[_Key | None], ask: Callable[[Sequence[int]], Sequence[Any]]) -> list[Any]:
    """Return what is kept under each key; `ask` is given the places of those that are not."""
    found = [_NOTHING if key is None else _found(key) for key in keys]
    missing = [index for index, one in enumerate(found) if one is _NOTHING]
    for index, answer in zip(missing, ask(missing) if missing else (), strict=True):
        found[index] = answer
        key = keys[index]
        is_kept = not isinstance(answer, Refused) and not (isinstance(answer, tuple) and len(answer) > LONGEST_LIST)
        if key is not None and is_kept:
            _kept.put(key, answer)
    return found


def _place(
    engine: Engine, relation: str, target: str, given: tuple[Any, ...], context: Mapping[str, Any]
) -> _Key | None:
    """Where answers about `target` (an object, or a type) are kept, but for the question itself; None when the cache is
    to be passed by."""
    if settings.PERMISSION_CACHE_ENTRIES <= 0 or engine.always_given or engine.may_lag or revision.is_written():
        _BYPASS.inc()
        return None
    try:
        brought = tuple(map(_fingerprint, given)) if given else ()
        parameters = _bytes(context) if context and _can_meet_condition(engine, relation, target) else b""
    except ValueError:
        _BYPASS.inc()
        return None
    return revision.generation(engine.store_id), engine.model_id, brought, parameters


def _can_meet_condition(engine: Engine, relation: str, target: str) -> bool:
    node = engine.program.relations.get((target.partition(":")[0], relation))
    return node in engine.program.conditional


def _fingerprint(one: Tuple | Mapping[str, Any]) -> Any:
    if isinstance(one, Tuple):
        return one if one.context is None else _bytes(one.row())
    return _bytes(one)


def _bytes(value: Mapping[str, Any]) -> bytes:
    """Tell apart all that a condition tells apart: 1, true, "1" and 1.0; a list and a tuple. Raises ValueError for what
    JSON could not hold either (but sets and the like)."""
    return marshal.dumps(dict(value), 2)  # the last form in which equal values have equal bytes


def _found(key: _Key) -> Any:
    found = _kept.get(key)
    (_MISS if found is _NOTHING else _HIT).inc()
    return found
