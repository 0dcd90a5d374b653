"""The change log, read so that nobody who reads on ever misses a change.

Transactions commit in another order than they begin. So changes are given out in the order (transaction, id), and only
those below `pg_snapshot_xmin`: no transaction that is still open can put one in between any more. A change therefore
shows when all that began before it has ended.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from django.db import connection

from accounts.permissions.faults import Code, Refused
from accounts.permissions.tuples import Tuple

_CURSOR: Final = re.compile(rb"(\d{1,19})\.(\d{1,19})")

_READ: Final = """
SELECT transaction, id, operation, object_type, object_id, relation, subject_type, subject_relation, subject_id,
    condition, context::text, created_at
FROM accounts_relationchange
WHERE store_id = %(store)s AND (transaction, id) > (%(transaction)s, %(id)s) {filters}
ORDER BY transaction, id LIMIT %(limit)s
"""
_GIVEN_OUT: Final = " AND transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


@dataclass(frozen=True, slots=True)
class Change:
    """A tuple written (also: under another condition than before) or deleted; `tuple` is as it was then."""

    operation: Literal["write", "delete"]
    tuple: Tuple
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of changes. `next` is where to read on, now or once there is more (None: nothing was found and no cursor
    given); `is_complete` says that there is no more now."""

    items: tuple[Change, ...]
    next: str | None
    is_complete: bool


def read(
    store_id: int,
    *,
    of_type: str | None = None,
    after: str | None = None,
    limit: int = 50,
    start_time: datetime | None = None,
) -> Changes:
    """Return what changed in a store after the cursor `after` (None: from the beginning), `limit` at most, the oldest
    first: all, or those of tuples of one type of object, or those logged at `start_time` or later. Raises Refused
    (2007) for a cursor that is none of ours."""
    position, number = _position(after)
    filters = _GIVEN_OUT + (" AND object_type = %(type)s" if of_type is not None else "")
    filters += " AND created_at >= %(start)s" if start_time is not None else ""
    asked: Mapping[str, Any] = {
        "store": store_id, "transaction": position, "id": number, "limit": limit + 1, "type": of_type,
        "start": start_time,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_READ.format(filters=filters), asked)
        rows = cursor.fetchall()
    page = rows[:limit]
    return Changes(
        tuple(_change(row) for row in page),
        _cursor(page[-1][0], page[-1][1]) if page else after,
        is_complete=len(rows) <= limit,
    )


def held_back(store_id: int, *, after: str, limit: int) -> dict[int, Change]:
    """Return by their numbers changes after the cursor that have committed and are not given out yet, since an older
    transaction is still open."""
    position, number = _position(after)
    asked = {"store": store_id, "transaction": position, "id": number, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(_READ.format(filters=""), asked)
        return {row[1]: _change(row) for row in cursor.fetchall()}


def end() -> str:
    """Return the cursor of now: behind all that has been given out, before all that has yet to commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1")
        (position,) = cursor.fetchone()
    return _cursor(position, 2**63 - 1)


def _change(row: tuple[Any, ...]) -> Change:
    return Change(row[2], Tuple.of_key(row[3:9], *row[9:11]), row[11])


def _cursor(transaction: int, number: int) -> str:
    return base64.urlsafe_b64encode(b"%d.%d" % (transaction, number)).decode().rstrip("=")


def _position(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return -1, 0
    try:
        match = _CURSOR.fullmatch(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        match = None
    if match is None or max(found := (int(match[1]), int(match[2]))) >= 2**63:
        raise Refused(Code.INVALID_CURSOR, "The cursor is none of ours: give back `next` as it was.")
    return found
