"""What changed in people's inboxes, in the order in which it became visible."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from notifications.models import InboxPosition, Notification
from notifications.selectors.inbox import Readable, concerned, readable

_PAGE = 500
_BEHIND = f"""
SELECT changed.* FROM unnest(%s::uuid[], %s::bigint[]) AS reader (person_id, position)
JOIN {InboxPosition._meta.db_table} AS counter
  ON counter.person_id = reader.person_id AND counter.last > reader.position
JOIN {Notification._meta.db_table} AS changed
  ON changed.person_id = reader.person_id AND changed.position > reader.position
WHERE changed.is_in_inbox ORDER BY changed.position LIMIT {_PAGE}
"""  # noqa: S608 - names of our own tables


def channel_of(person_id: UUID) -> str:
    """Return the channel on which live streams are woken when a person's inbox changes."""
    return f"notifications:{person_id}"


def position_of(person_id: UUID) -> int:
    """Return the number of the latest change of a person's inbox that is visible now."""
    return InboxPosition.objects.filter(pk=person_id).values_list("last", flat=True).first() or 0


def behind(positions: Mapping[UUID, int]) -> dict[UUID, list[tuple[int, Readable | None]]]:
    """Return, for each person, the rows that changed behind their position, in order; 500 altogether at most. None
    stands for a row that is not theirs to read any more: its position is passed all the same.

    One query for all of them, one for what they may still read, and one for keys when words hold something personal. A
    row that changed twice comes once, as it stands now.
    """
    people, after = list(positions), list(positions.values())
    rows = list(Notification.objects.raw(_BEHIND, [people, after]))
    shown = {one.row.pk: one for one in readable(concerned(rows))} if rows else {}
    found: dict[UUID, list[tuple[int, Readable | None]]] = {}
    for row in rows:
        found.setdefault(row.person_id, []).append((row.position, shown.get(row.pk)))
    return found
