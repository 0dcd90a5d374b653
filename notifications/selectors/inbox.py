"""Inboxes: a person's own rows, and their words in clear."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, QuerySet

from core import personal
from core.actor import Actor, ActorType
from notifications.models import Notification
from notifications.templates import ERASED, field_of, filled

SHOWN_AT_MOST = 99


@dataclass(frozen=True, slots=True)
class Readable:
    """A notification in clear. `names` are the personal values by the names of their marks."""

    row: Notification
    subject: str
    text: str
    names: Mapping[str, str]


def own(actor: Actor) -> QuerySet[Notification]:
    """Return what stands in the actor's own inbox, also what is put away; nothing for keys and the system."""
    rows = Notification.objects.filter(is_in_inbox=True)
    return rows.filter(person_id=actor.id) if is_person(actor) else rows.none()


def is_person(actor: Actor) -> bool:
    """Whether the actor is somebody who has an inbox."""
    return actor.type in (ActorType.USER, ActorType.STAFF) and actor.id is not None


def unread(person_id: UUID) -> QuerySet[Notification]:
    """Return what a person has not read, through the index made for it."""
    return Notification.objects.filter(person_id=person_id, is_in_inbox=True, read_at=None, archived_at=None)


def unread_by_kind(person_id: UUID) -> dict[str, int]:
    """Return how much of each kind a person has not read; kinds with nothing are left out."""
    counted = unread(person_id).order_by().values_list("kind").annotate(Count("pk"))
    return dict(sorted(counted))


def unread_count(person_id: UUID) -> int:
    """Return how much a person has not read, counted up to one more than `SHOWN_AT_MOST`."""
    return unread(person_id).order_by()[: SHOWN_AT_MOST + 1].count()


def readable(rows: Iterable[Notification]) -> list[Readable]:
    """Return notifications in clear, with one query for all keys (none when nothing in them is personal)."""
    found = list(rows)
    envelopes = [envelope for row in found for envelope in row.personal.values()]
    reader = personal.Reader(envelopes) if envelopes else None
    made = []
    for row in found:
        names = {
            name: (reader.read(envelope, field=field_of(name)) if reader else None) or ERASED
            for name, envelope in row.personal.items()
        }
        made.append(Readable(row, filled(row.subject, names), filled(row.text, names), names))
    return made
