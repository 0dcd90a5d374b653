"""From a person to the actor as whom they act."""

from __future__ import annotations

import hashlib
from uuid import UUID

from accounts.models import User
from core.actor import Actor, ActorType


def actor_of_user(user: User, session_id: UUID | None = None) -> Actor:
    """Return as whom `user` acts: staff as staff, everybody else as a user."""
    if not user.is_staff:
        return Actor(ActorType.USER, id=user.pk, label=user.email, session_id=session_id)
    return Actor(ActorType.STAFF, id=user.pk, label=user.email, session_id=session_id, staff_groups=user.staff_groups)


def session_id_of_desk(session_key: str) -> UUID:
    """Return the id by which a sign-in to the admin is named where the key of its session must not stand: the first 16
    bytes of the key's SHA-256 (`accounts.selectors.standing` makes the same in SQL)."""
    return UUID(bytes=hashlib.sha256(session_key.encode()).digest()[:16])
