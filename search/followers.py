"""The index follows the event log: what an event speaks of is built anew, from how it stands now."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from audit.following import follower
from audit.models import Event
from search.documents import DocumentType
from search.selectors.state import FOLLOWER
from search.services import indexing

BATCH = 500


@follower(FOLLOWER, batch=BATCH)
def follow(events: list[Event]) -> None:
    """Index what the events touched, each object once for a whole batch. An event that comes twice changes nothing."""
    for kind in indexing.kinds():
        ids = touched(kind, events)
        if ids:
            indexing.index(kind, ids)


def touched(kind: DocumentType, events: Sequence[Event]) -> list[UUID]:
    """Return the ids of the objects of one kind that the events touched."""
    spoken_of = [event for event in events if event.type.startswith(kind.events)] if kind.events else []
    if not spoken_of:
        return []
    ids = kind.ids_of(spoken_of) if kind.ids_of is not None else (event.subject_id for event in spoken_of)
    return list(dict.fromkeys(ids))
