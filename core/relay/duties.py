"""What the relay does on each round. Apps register their duties in `AppConfig.ready()`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from core.relay.lease import HeldLease

Function: TypeAlias = Callable[[HeldLease], int]

duties: dict[str, Duty] = {}


@dataclass(frozen=True, slots=True)
class Duty:
    """One thing that the leading relay does. `every` seconds at the earliest (0: on each round)."""

    name: str
    function: Function
    every: float
    order: int


def duty(name: str, *, every: float = 0, order: int = 50) -> Callable[[Function], Function]:
    """Register a function that is given the lease and returns how much it did; while that is not 0 the relay goes on
    at once. It commits in chunks, and holds the lease (`lease.hold()`) in each transaction that it writes in."""

    def register(function: Function) -> Function:
        duties[name] = Duty(name, function, every, order)
        return function

    return register
