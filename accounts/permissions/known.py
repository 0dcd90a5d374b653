"""What rows say by themselves, so that no tuple holds it: brought along with each question that names them.

An invoice's organisation, that a person is who they are, the groups of a staff member.
"""

from __future__ import annotations

from uuid import UUID

from accounts.actors import actor_of_user
from accounts.models import User
from accounts.permissions.product import given_of, given_of_person, given_of_staff
from accounts.permissions.tuples import Tuple
from core.models import Entity, entities_by_type


def given_about(subject: str, target: str) -> tuple[Tuple, ...]:
    """Return what the product itself brings along when it asks about `subject` (`user:<id>`) and `target`; nothing for
    what are no rows of ours. At most a query for each."""
    asked, row = _row(subject), _row(target)
    found = given_of(row) if row is not None else ()
    if isinstance(row, User):
        found = (*found, *given_of_person(row.pk))
    if isinstance(asked, User) and asked.is_staff and asked.is_active:
        found = (*found, *given_of_staff(actor_of_user(asked)))
    return found


def _row(text: str) -> Entity | None:
    kind, _, key = text.partition(":")
    entity = entities_by_type.get(kind.replace("_", ""))
    try:
        number = UUID(key.partition("#")[0])
    except ValueError:
        return None
    return entity._default_manager.filter(pk=number).first() if entity is not None else None
