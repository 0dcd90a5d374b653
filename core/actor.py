"""Who acts. Made once at the edge; every service, event, log line and job carries it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID


class ActorType(StrEnum):
    USER = "user"
    SERVICE_ACCOUNT = "service_account"
    API_KEY = "api_key"
    STAFF = "staff"
    SYSTEM = "system"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: named by type and id, never by foreign key.

    `label` is for people who read a page and is never stored in an event. `organization_id` bounds an actor that
    belongs to one organisation (API keys, service accounts); `scopes` bounds what a key may do (None: no bound).
    `session_id` is that by which they were let in: a person's session, a service account's key.
    `staff_groups` bounds a staff member to what these groups of staff may do (None: no bound).
    `on_behalf_of` is the person as whom a staff member acts.
    """

    type: ActorType
    id: UUID | None = None
    label: str = ""
    organization_id: UUID | None = None
    scopes: frozenset[str] | None = None
    session_id: UUID | None = None
    staff_groups: frozenset[int] | None = None
    on_behalf_of: Actor | None = None

    @property
    def is_staff(self) -> bool:
        return self.type is ActorType.STAFF

    @property
    def is_system(self) -> bool:
        return self.type is ActorType.SYSTEM

    @property
    def is_anonymous(self) -> bool:
        return self.type is ActorType.ANONYMOUS

    @property
    def person_id(self) -> UUID | None:
        """The person who acts, None when a program, the system or nobody known does."""
        return self.id if self.type in (ActorType.USER, ActorType.STAFF) else None

    @property
    def principal(self) -> str:
        """One string that names the actor, for keys and log lines ("user:0190…")."""
        return f"{self.type}:{self.id}" if self.id else str(self.type)

    def as_payload(self) -> dict[str, Any]:
        """Return what a job needs in order to act as this actor later (JSON-ready)."""
        return {
            "type": str(self.type),
            "id": str(self.id) if self.id else None,
            "organization_id": str(self.organization_id) if self.organization_id else None,
            "scopes": sorted(self.scopes) if self.scopes is not None else None,
            "staff_groups": sorted(self.staff_groups) if self.staff_groups is not None else None,
            "on_behalf_of": self.on_behalf_of.as_payload() if self.on_behalf_of else None,
        }

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Actor:
        """Rebuild the actor that `as_payload` wrote down."""
        scopes, groups, behalf = payload.get("scopes"), payload.get("staff_groups"), payload.get("on_behalf_of")
        return cls(
            type=ActorType(payload["type"]),
            id=UUID(payload["id"]) if payload.get("id") else None,
            organization_id=UUID(payload["organization_id"]) if payload.get("organization_id") else None,
            scopes=frozenset(scopes) if scopes is not None else None,
            staff_groups=frozenset(groups) if groups is not None else None,
            on_behalf_of=cls.from_payload(behalf) if behalf else None,
        )


SYSTEM = Actor(ActorType.SYSTEM, label="Countinghouse")
ANONYMOUS = Actor(ActorType.ANONYMOUS, label="anonymous")
