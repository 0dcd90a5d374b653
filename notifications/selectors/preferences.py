"""What people chose."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from notifications.models import NotificationPreferences
from notifications.preferences import DEFAULTS, Choices


def choices_of(people: Iterable[UUID]) -> dict[UUID, Choices]:
    """Return the choices of each person, with one query for all; who never chose has the defaults."""
    wanted = set(people)
    rows = NotificationPreferences.objects.filter(person_id__in=wanted)
    return dict.fromkeys(wanted, DEFAULTS) | {row.person_id: Choices(row.choices, row.time_zone) for row in rows}


def own(person_id: UUID) -> NotificationPreferences:
    """Return the person's row; of who never chose one that is not stored yet."""
    row = NotificationPreferences.objects.filter(person_id=person_id).first()
    return row or NotificationPreferences(person_id=person_id)
