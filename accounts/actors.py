"""From a person to the actor as whom they act."""

from __future__ import annotations

from uuid import UUID

from accounts.models import User
from core.actor import Actor, ActorType


def actor_of_user(user: User, session_id: UUID | None = None) -> Actor:
    """Return as whom `user` acts: staff as staff, everybody else as a user."""
    return Actor(
        ActorType.STAFF if user.is_staff else ActorType.USER, id=user.pk, label=user.email, session_id=session_id
    )
