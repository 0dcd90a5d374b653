"""Inboxes: a person's own rows, and their words in clear."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from accounts.models import Membership
from core import personal
from core.actor import Actor
from notifications.models import Notification
from notifications.states import KINDS
from notifications.templates import ERASED, field_of, filled

SHOWN_AT_MOST = 99
_LEFT = "accounts.membership.removed"


@dataclass(frozen=True, slots=True)
class Readable:
    """A notification in clear. `names` are the personal values by the names of their marks."""

    row: Notification
    subject: str
    text: str
    names: Mapping[str, str]


def own(actor: Actor) -> QuerySet[Notification]:
    """Return what stands in the actor's own inbox and is still theirs to read, also what is put away; nothing for keys
    and the system."""
    rows = Notification.objects.filter(is_in_inbox=True)
    if not is_person(actor) or actor.id is None:
        return rows.none()
    mine = rows.filter(person_id=actor.id)
    if actor.is_staff:
        return mine
    # As `still_theirs`, of one person whose organisations are looked up once.
    organizations = Membership.objects.filter(user_id=actor.id).values("organization_id")
    return mine.filter(_open_to_members(Q(organization__in=organizations)))


def is_person(actor: Actor) -> bool:
    """Whether the actor is somebody who has an inbox."""
    return actor.person_id is not None


def still_theirs() -> Q:
    """Return the condition under which a person may (still) read what they were told: what speaks of an organisation is
    for its members and for staff, and who left it keeps that news alone; what is for staff is for staff."""
    belongs = Membership.objects.filter(user_id=OuterRef("person_id"), organization_id=OuterRef("organization_id"))
    return Q(person__is_staff=True) | _open_to_members(Q(Exists(belongs)))


def _open_to_members(belongs: Q) -> Q:
    is_for_all = ~Q(kind__in=[kind.name for kind in KINDS.values() if kind.is_for_staff])
    return is_for_all & (Q(organization=None) | Q(template=_LEFT) | belongs)


def concerned(rows: Iterable[Notification]) -> list[Notification]:
    """Return those of `rows` that their persons may still read, with one query for all."""
    found = list(rows)
    keys = set(
        Notification.objects.filter(still_theirs(), pk__in=[row.pk for row in found]).values_list("pk", flat=True)
    )
    return [row for row in found if row.pk in keys]


def unread(actor: Actor) -> QuerySet[Notification]:
    """Return what the actor has not read, through the index made for it."""
    return own(actor).filter(read_at=None, archived_at=None)


def unread_by_kind(actor: Actor) -> dict[str, int]:
    """Return how much of each kind the actor has not read; kinds with nothing are left out."""
    counted = unread(actor).order_by().values_list("kind").annotate(Count("pk"))
    return dict(sorted(counted))


def unread_count(actor: Actor) -> int:
    """Return how much the actor has not read, counted up to one more than `SHOWN_AT_MOST`."""
    return unread(actor).order_by()[: SHOWN_AT_MOST + 1].count()


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
