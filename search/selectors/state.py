"""How the index is: how much it has, and how far it is behind the event log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audit.models import Follower, FollowerState, Tree
from search.documents import document_types
from search.providers import index

FOLLOWER = "search.index"


@dataclass(frozen=True, slots=True)
class State:
    """Documents by kind, and how many sealed events the follower has not read yet; `is_parked` when it waits for a
    person, `fault` with the reason."""

    provider: str
    documents: Mapping[str, int]
    behind: int
    is_parked: bool
    fault: str


def state() -> State:
    """Return how the index is."""
    counts = index().counts()
    size = Tree.objects.values_list("size", flat=True).get()
    row = Follower.objects.filter(pk=FOLLOWER).first()
    return State(
        provider=index().name,
        documents={name: counts.get(name, 0) for name in sorted(document_types)},
        behind=size - row.position if row is not None else size,
        is_parked=row is not None and row.state == FollowerState.PARKED,
        fault=row.error if row is not None else "",
    )
