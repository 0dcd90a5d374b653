"""Stored tuples as they stand: a page at a time, or those of some keys.

A page is one range of an index: in the order of objects, or in that of subjects when a subject is asked for and no
object. What is filtered beyond that is looked at row by row.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from accounts.permissions.faults import Code, Refused
from accounts.permissions.tuples import KEY, Key, Subject, Tuple

_BY_SUBJECT: Final = ("subject_type", "subject_id", "subject_relation", "object_type", "relation", "object_id")

_OF_KEYS: Final = f"""
    SELECT {", ".join(KEY)}, condition, context::text
    FROM accounts_relationtuple t JOIN unnest({", ".join(["%s::text[]"] * len(KEY))}) AS asked({", ".join(KEY)})
        USING ({", ".join(KEY)})
    WHERE t.store_id = %s
"""  # noqa: S608 - our own columns


@dataclass(frozen=True, slots=True)
class Stored:
    """A tuple and when it was written."""

    tuple: Tuple
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Stock:
    """A page of tuples. `next` is the cursor of the next page, None on the last one."""

    items: tuple[Stored, ...]
    next: str | None


def read(
    store_id: int,
    *,
    object_type: str | None = None,
    object_id: str | None = None,
    relation: str | None = None,
    subject: str | None = None,
    condition: str | None = None,
    limit: int = 100,
    after: str | None = None,
) -> Stock:
    """Return the tuples of a store that match all that is given, `limit` at most, after the cursor `after`. `subject`
    is whole (`user:ann`, `group:eng#member`). Stale ones, which the model does not allow any more, are among them.
    Raises Refused (2000 for a subject that is none, 2007 for a cursor of other filters)."""
    wanted: dict[str, Any] = {
        "object_type": object_type, "object_id": object_id, "relation": relation, "condition": condition,
    }  # fmt: skip
    if subject is not None:
        one = Subject.parse(subject)
        wanted |= {"subject_type": one.type, "subject_id": one.id, "subject_relation": one.relation}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    order = _BY_SUBJECT if subject is not None and object_type is None else KEY
    tests = [f"{name} = %({name})s" for name in wanted]
    if after is not None:
        wanted |= {f"after_{name}": value for name, value in zip(order, _position(after, order), strict=True)}
        tests.append(f"({', '.join(order)}) > ({', '.join(f'%(after_{name})s' for name in order)})")
    sql = f"""
        SELECT {", ".join(KEY)}, condition, context::text, created_at FROM accounts_relationtuple
        WHERE {" AND ".join(["store_id = %(store)s", *tests])} ORDER BY {", ".join(order)} LIMIT %(limit)s
    """  # noqa: S608  (our own columns)
    with connection.cursor() as cursor:
        cursor.execute(sql, {**wanted, "store": store_id, "limit": limit + 1})
        rows = cursor.fetchall()
    items = tuple(Stored(Tuple.of_key(row[:6], *row[6:8]), row[8]) for row in rows[:limit])
    return Stock(items, _cursor(items[-1].tuple, order) if len(rows) > limit else None)


def stored(store_id: int, keys: Collection[Key]) -> list[Tuple]:
    """Return those of the tuples with these keys that are stored, as they are now, in any order."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_KEYS, [*([key[place] for key in keys] for place in range(len(KEY))), store_id])
        return [Tuple.of_key(row[:6], *row[6:]) for row in cursor.fetchall()]


def _cursor(last: Tuple, order: tuple[str, ...]) -> str:
    row = last.row()
    key = json.dumps([order[0], *(row[name] for name in order)], separators=(",", ":"))
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _position(cursor: str, order: tuple[str, ...]) -> list[str]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    is_ours = isinstance(found, list) and len(found) == 1 + len(order) and all(isinstance(part, str) for part in found)
    if not is_ours or found[0] != order[0] or any("\x00" in part for part in found):
        raise Refused(Code.INVALID_CURSOR, "The cursor was not made for these filters: begin without one.")
    return list(found[1:])
