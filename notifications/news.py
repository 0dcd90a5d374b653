"""An event with what templates ask about it: its fields in clear, who belongs to its organisation, who is staff."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from accounts.models import Membership, Organization, User
from audit.models import Event
from audit.selectors.reading import readable
from core import ids
from core.access import Role
from core.models import entities_by_type
from core.money import Money


@dataclass(frozen=True, slots=True)
class Personal:
    """A value that speaks of a person and goes with them when they are erased."""

    person_id: UUID
    text: str


class People:
    """Who is who, for a batch of events: one query for each question that is asked at all."""

    def __init__(self, events: Iterable[Event]) -> None:
        events = list(events)
        self._organizations = {event.organization_id for event in events if event.organization_id is not None}

    @cached_property
    def names(self) -> dict[UUID, str]:
        """The names of the organisations that there are."""
        return dict(Organization.objects.filter(pk__in=self._organizations).values_list("pk", "name"))

    @cached_property
    def _members(self) -> dict[UUID, list[tuple[UUID, str]]]:
        found: dict[UUID, list[tuple[UUID, str]]] = {}
        rows = Membership.objects.filter(organization_id__in=self._organizations, user__is_active=True)
        for organization_id, user_id, role in rows.values_list("organization_id", "user_id", "role"):
            found.setdefault(organization_id, []).append((user_id, role))
        return found

    @cached_property
    def staff(self) -> frozenset[UUID]:
        return frozenset(User.objects.filter(is_staff=True, is_active=True).values_list("pk", flat=True))

    def members(self, organization_id: UUID | None, roles: frozenset[Role]) -> set[UUID]:
        """Return the active members of an organisation who hold one of `roles`."""
        if organization_id is None:
            return set()
        return {user_id for user_id, role in self._members.get(organization_id, ()) if role in roles}


@dataclass(frozen=True, slots=True)
class News:
    """One event as templates see it. `before`, `after` and `data` are in clear: what speaks of a person must be handed
    on as `Personal`."""

    event: Event
    before: dict[str, Any]
    after: dict[str, Any]
    data: dict[str, Any]
    people: People

    @property
    def organization(self) -> str:
        """The organisation's name, "" when there is none."""
        return self.people.names.get(self.event.organization_id, "") if self.event.organization_id else ""

    @property
    def subject_id(self) -> str:
        """The public id of what the event speaks of."""
        return public_id(self.event.subject_type, self.event.subject_id)

    def find(self, name: str) -> Any:
        """Return a field wherever the event holds it: data, after, before; None when it does not."""
        for section in (self.data, self.after, self.before):
            if section.get(name) is not None:
                return section[name]
        return None

    def key(self, name: str) -> UUID | None:
        """Return a field that names another object by its key."""
        value = self.find(name)
        try:
            return UUID(str(value)) if value else None
        except ValueError:
            return None

    def named(self, name: str, kind: str) -> str:
        """Return the public id of the object of type `kind` that a field names, "" when it names none."""
        key = self.key(name)
        return public_id(kind, key) if key else ""

    def money(self, name: str = "amount_minor") -> str:
        """Return an amount as people write it ("$12.34"), "" when the event has none."""
        minor, currency = self.find(name), self.find("currency")
        return Money(int(minor), currency).format() if minor is not None and currency else ""


def read(events: Iterable[Event]) -> list[News]:
    """Return events as news; personal fields take one query for all keys."""
    found = list(events)
    people = People(found)
    clear = readable(found, may_read_personal=True)
    return [News(one.event, one.before or {}, one.after or {}, one.data, people) for one in clear]


def public_id(kind: str, key: UUID) -> str:
    """Return the public id of an object of type `kind`, its bare key when no model of that name is known here."""
    model = entities_by_type.get(kind.replace("_", ""))
    return ids.encode(model.id_prefix, key) if model else str(key)


def moment(value: datetime) -> str:
    """Return a moment as mails write it: "2 March 2026, 14:05 UTC"."""
    utc = value.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y, %H:%M} UTC"
