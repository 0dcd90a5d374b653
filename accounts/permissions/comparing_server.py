"""Whether an OpenFGA server has what PostgreSQL has, tuple by tuple, while both may change."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from accounts.permissions import carrying, reading
from accounts.permissions.faults import Refused
from accounts.permissions.models import RelationTuple
from accounts.permissions.tuples import Key, Tuple

if TYPE_CHECKING:  # the client behind it is slow to import
    from accounts.permissions.providers.openfga_engine import ServerEngine

_LOOKS: Final = 3
_BATCH: Final = 2000


@dataclass(slots=True)
class Difference:
    """What differs: tuples that the server lacks, that it has too many, or under another condition. `tuples` says how
    many were compared."""

    tuples: int = 0
    missing: set[Key] = field(default_factory=set)
    extra: set[Key] = field(default_factory=set)
    otherwise: set[Key] = field(default_factory=set)

    @property
    def keys(self) -> set[Key]:
        return self.missing | self.extra | self.otherwise


def compare(engine: ServerEngine, store_id: int, *, wait: float = 1.5) -> Difference:
    """Compare all tuples. What differs is looked at again, some times with `wait` seconds between: what the relay was
    about to carry is no difference. Tuples that the model does not allow are none on either side."""
    there = {one.key: _bound(one) for one in engine.stored()}
    found = Difference()
    for one in _stored(store_id):
        if engine.allows(one):
            found.tuples += 1
            key = one.key
            if key not in there:
                found.missing.add(key)
            elif there[key] != _bound(one):
                found.otherwise.add(key)
        there.pop(one.key, None)
    found.extra = set(there)
    for _ in range(_LOOKS - 1):
        if not found.keys:
            break
        time.sleep(wait)
        found = _look_again(engine, store_id, found)
    return found


def _look_again(engine: ServerEngine, store_id: int, before: Difference) -> Difference:
    found = Difference(before.tuples)
    for key in before.keys:
        try:
            there = engine.look_up(Tuple.of_key(key))
        except Refused:  # it cannot even be asked for: too long for the server
            there = None
        here = next(iter(reading.stored(store_id, [key])), None)
        if here is not None and not engine.allows(here):
            continue
        if here is None and there is not None:
            found.extra.add(key)
        elif here is not None and there is None:
            found.missing.add(key)
        elif here is not None and there is not None and _bound(here) != _bound(there):
            found.otherwise.add(key)
    return found


def _bound(one: Tuple) -> tuple[str, object]:
    return one.condition, one.context or None


def _stored(store_id: int) -> Iterable[Tuple]:
    for keys in carrying.by_id(RelationTuple.objects.filter(store_id=store_id), _BATCH):
        yield from reading.stored(store_id, keys)
