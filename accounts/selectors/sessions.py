"""Is this session alive, and who is behind it? Asked on each request: one fetch from the cache, else one query."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Membership, Session, User
from accounts.providers import session_cache
from core.access import Role
from core.actor import Actor, ActorType

_TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one request needs to know about a live session."""

    session_id: UUID
    user_id: UUID
    email: str
    is_staff: bool
    staff_groups: frozenset[int] | None  # None: no bound
    roles: dict[UUID, Role]
    expires_at: float

    @property
    def actor(self) -> Actor:
        """As whom the request acts."""
        return Actor(
            ActorType.STAFF if self.is_staff else ActorType.USER,
            id=self.user_id,
            label=self.email,
            session_id=self.session_id,
            staff_groups=self.staff_groups,
        )

    def dump(self) -> bytes:
        roles = {organization.hex: str(role) for organization, role in self.roles.items()}
        groups = None if self.staff_groups is None else sorted(self.staff_groups)
        return json.dumps([self.user_id.hex, self.email, self.is_staff, groups, roles, self.expires_at]).encode()

    @classmethod
    def load(cls, session_id: UUID, value: bytes) -> Snapshot:
        user_id, email, is_staff, groups, roles, expires_at = json.loads(value)
        known = {UUID(hex=organization): Role(role) for organization, role in roles.items()}
        return cls(session_id, UUID(hex=user_id), email, is_staff, _bound(groups), known, expires_at)


def _bound(groups: list[int] | None) -> frozenset[int] | None:
    return None if groups is None else frozenset(groups)


def live(session_id: UUID, now: datetime) -> Snapshot | None:
    """Return the session with its person and their roles, None when it has ended or expired at `now`."""
    key = session_cache.session_key(session_id)
    try:
        cached = session_cache.get(key)
    except session_cache.Ended:
        return None
    snapshot = Snapshot.load(session_id, cached) if cached is not None else _from_database(session_id, key, now)
    return snapshot if snapshot is not None and now.timestamp() < snapshot.expires_at else None


def _from_database(session_id: UUID, key: str, now: datetime) -> Snapshot | None:
    found, last_used_at = _query(session_id)
    if found is None:
        return None
    if session_cache.remember(key, found.dump()):
        again, _ = _query(session_id)
        if again != found:
            session_cache.doubt([key])
            found = again
    if found is not None and now - last_used_at > _TOUCH_EVERY:
        Session.objects.filter(pk=session_id, last_used_at__lt=now).update(last_used_at=now)
    return found


_SQL = f"""
    SELECT person.id, person.email, person.is_staff, session.expires_at, session.last_used_at,
           (SELECT json_object_agg(organization_id, role)::text FROM {Membership._meta.db_table}
             WHERE user_id = person.id),
           CASE WHEN person.is_staff AND NOT person.is_superuser THEN ARRAY(
             SELECT group_id FROM {User.groups.through._meta.db_table} WHERE user_id = person.id ORDER BY group_id) END
      FROM {Session._meta.db_table} AS session
      JOIN {User._meta.db_table} AS person ON person.id = session.user_id
     WHERE session.id = %s AND session.ended_at IS NULL AND person.is_active
"""  # noqa: S608  (table names of our own models)


def _query(session_id: UUID) -> tuple[Snapshot | None, datetime]:
    """Return the snapshot as it stands in PostgreSQL, and when the session was last used."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL, [session_id])
        row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        return None, datetime.fromtimestamp(0, tz=UTC)
    user_id, email, is_staff, expires_at, last_used_at, roles, groups = row
    known = {UUID(organization): Role(role) for organization, role in json.loads(roles or "{}").items()}
    bound = _bound(groups)
    return Snapshot(session_id, user_id, email, is_staff, bound, known, expires_at.timestamp()), last_used_at
