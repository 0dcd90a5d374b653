"""Followers: functions that read the log in its order, each with its own cursor.

    @follower("billing.metrics", types=["billing.payment.succeeded"])
    def count(events: list[Event]) -> None: ...

A follower gets each event at least once and must be idempotent. It stands in `<app>/followers.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from audit.models import Event

Function: TypeAlias = Callable[[list[Event]], None]

followers: dict[str, Declared] = {}


@dataclass(frozen=True, slots=True)
class Declared:
    """One follower. `types` bounds what it is given (None: everything); `is_for_new` starts it at the log's end."""

    name: str
    function: Function
    types: frozenset[str] | None
    batch: int
    is_for_new: bool


def follower(
    name: str, *, types: Iterable[str] | None = None, batch: int = 200, is_for_new: bool = False
) -> Callable[[Function], Function]:
    """Register a follower. The relay calls it outside of any transaction with up to `batch` events in order. An
    exception is tried again with growing waits, then parks the follower until staff reset it."""

    def register(function: Function) -> Function:
        known = followers.get(name)
        assert known is None or known.function.__qualname__ == function.__qualname__, f"follower {name} exists twice"
        followers[name] = Declared(name, function, None if types is None else frozenset(types), batch, is_for_new)
        return function

    return register
