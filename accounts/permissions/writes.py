"""Tuples written and deleted: a request is one statement, which writes the change log too.

Both are right when several write the same at once: who comes second waits for the first to commit and is then told
`unchanged` or `missing`. Rows are taken in the order of their keys, so that two requests never wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from django.db import connection, transaction
from psycopg.types.json import Jsonb

from accounts.permissions import conditions, revision, tuples
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language.model import Model
from accounts.permissions.tuples import KEY, Key, Tuple

OnDuplicate: TypeAlias = Literal["ignore", "error", "replace"]
OnMissing: TypeAlias = Literal["ignore", "error"]


class Outcome(StrEnum):
    """What became of one tuple of a request."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    REPLACED = "replaced"
    REMOVED = "removed"
    MISSING = "missing"


_KEY: Final = ", ".join(KEY)
_MANY: Final = 1000  # tuples written at once, after which plans may be out of date

# The rows of the request: literals, so that the planner knows how many they are.
_ASKED: Final = f"""
    SELECT * FROM unnest(%(object_type)s::text[], %(object_id)s::text[], %(relation)s::text[], %(subject_type)s::text[],
        %(subject_relation)s::text[], %(subject_id)s::text[], %(condition)s::text[], %(context)s::jsonb[])
        AS asked({_KEY}, condition, context)
"""  # noqa: S608 - our own columns

# A row that is there and stays is locked (`WHERE false`), not written anew.
_WRITE: Final = f"""
WITH put AS (
    INSERT INTO accounts_relationtuple AS t (store_id, {_KEY}, condition, context, created_at)
    SELECT %(store)s, asked.*, clock_timestamp() FROM ({_ASKED}) asked ORDER BY {_KEY}
    ON CONFLICT (store_id, {_KEY}) DO UPDATE
        SET condition = excluded.condition, context = excluded.context, created_at = excluded.created_at
        WHERE %(is_replacing)s AND (t.condition, t.context) IS DISTINCT FROM (excluded.condition, excluded.context)
    RETURNING {_KEY}, condition, context, xmax = 0 AS is_new
), logged AS (
    INSERT INTO accounts_relationchange (store_id, operation, {_KEY}, condition, context, created_at)
    SELECT %(store)s, 'write', {_KEY}, condition, context, clock_timestamp() FROM put
)
SELECT {_KEY}, CASE WHEN is_new THEN 'created' ELSE 'replaced' END FROM put
"""  # noqa: S608 - our own columns

_DELETE: Final = f"""
WITH locked AS MATERIALIZED (
    SELECT t.id FROM accounts_relationtuple t JOIN ({_ASKED}) asked USING ({_KEY})
    WHERE t.store_id = %(store)s ORDER BY {_KEY} FOR UPDATE OF t
), gone AS (
    DELETE FROM accounts_relationtuple t USING locked WHERE t.id = locked.id
    RETURNING {", ".join(f"t.{name}" for name in KEY)}, t.condition, t.context
), logged AS (
    INSERT INTO accounts_relationchange (store_id, operation, {_KEY}, condition, context, created_at)
    SELECT %(store)s, 'delete', {_KEY}, condition, context, clock_timestamp() FROM gone
)
SELECT {_KEY}, 'removed' FROM gone
"""  # noqa: S608 - our own columns

_OTHERWISE: Final = f"""
SELECT {_KEY} FROM accounts_relationtuple t JOIN ({_ASKED}) asked USING ({_KEY})
WHERE t.store_id = %(store)s AND (t.condition, t.context) IS DISTINCT FROM (asked.condition, asked.context) LIMIT 1
"""  # noqa: S608 - our own columns


def write(store_id: int, model: Model, written: Sequence[Tuple], on_duplicate: OnDuplicate) -> list[Outcome]:
    """Write tuples and return what became of each, in their order: `created`, `unchanged` (it was there already, or
    stands twice in the request) or `replaced` (it was there under another condition, with `on_duplicate="replace"`).

    Raises Refused and writes nothing: 2000 for a tuple that the model does not allow, 2004 for two of one request that
    differ in their condition (and, with "error", for any two), 2017 for one that was there already ("error"), or was
    there under another condition ("ignore")."""
    for one in written:
        check(model, one)
    asked = once(written, is_strict=on_duplicate == "error")
    if not asked:
        return []
    with transaction.atomic():
        found = _run(_WRITE, store_id, asked.values(), is_replacing=on_duplicate == "replace")
        if found:
            revision.written()
        if len(found) >= _MANY:
            transaction.on_commit(partial(_plan_anew, len(found)))
        if on_duplicate != "replace" and len(found) < len(asked):
            _refuse_what_was_there(store_id, [one for place, one in asked.items() if place not in found], on_duplicate)
    return in_order(written, found, Outcome.UNCHANGED)


def delete(store_id: int, deleted: Sequence[Tuple], on_missing: OnMissing) -> list[Outcome]:
    """Delete tuples, under whatever condition they were written, and return what became of each, in their order:
    `removed` or `missing`. What the model does not allow any more can be deleted. Raises Refused (2017) and deletes
    nothing when one is not there and `on_missing` is "error"; 2004 when one stands twice in the request then."""
    asked = once(deleted, is_strict=on_missing == "error")
    if not asked:
        return []
    with transaction.atomic():
        found = _run(_DELETE, store_id, asked.values())
        if found:
            revision.written()
        missing = [one for place, one in asked.items() if place not in found]
        if missing and on_missing == "error":
            message = f"cannot delete a tuple which does not exist: {missing[0]}"
            raise Refused(Code.WRITE_FAILED, message, about=missing[0])
    return in_order(deleted, found, Outcome.MISSING)


def check(model: Model, one: Tuple) -> None:
    """Raise Refused (2000) when a tuple cannot be written: the model does not allow it, its context does not fit its
    condition, or it holds anyway (`group:1#member@group:1#member`)."""
    tuples.check(model, one, Code.VALIDATION)
    subject = one.subject
    if (subject.type, subject.id, subject.relation) == (one.object.type, one.object.id, one.relation):
        raise Refused(Code.VALIDATION, f"cannot write a tuple that is implicit: {one}", member="user")
    if one.context:
        try:
            conditions.check_context(model.conditions[one.condition], one.context)
        except ValueError as error:
            raise Refused(Code.VALIDATION, f"{one}: {error}", member="condition") from error


def _refuse_what_was_there(store_id: int, unchanged: Sequence[Tuple], on_duplicate: OnDuplicate) -> None:
    if on_duplicate == "error":
        message = f"cannot write a tuple which already exists: {unchanged[0]}"
        raise Refused(Code.WRITE_FAILED, message, about=unchanged[0])
    otherwise = _run(_OTHERWISE, store_id, unchanged)
    for place in otherwise:
        one = next(one for one in unchanged if one.key == place)
        raise Refused(Code.WRITE_FAILED, f"the tuple exists already under another condition: {one}", about=one)


def once(asked: Iterable[Tuple], *, is_strict: bool) -> dict[Key, Tuple]:
    """Return the tuples without repetition. Raises Refused (2004): see `write`."""
    found: dict[Key, Tuple] = {}
    for one in asked:
        if one.key in found and (is_strict or found[one.key] != one):
            raise Refused(Code.DUPLICATE_TUPLES, f"duplicate tuples in one request: {one}", about=one)
        found[one.key] = one
    return found


def in_order(asked: Sequence[Tuple], found: Mapping[Key, str], otherwise: Outcome) -> list[Outcome]:
    """What became of each; of equal tuples only the first was done anything about."""
    remaining = dict(found)
    return [Outcome(remaining.pop(one.key, otherwise)) for one in asked]


def _plan_anew(written: int) -> None:
    """Have plans made for as many tuples as there are now, if those written are many beside the others: a plan made for
    few reads a whole store in each step of a walk. PostgreSQL sees to it by itself, but a minute later."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT permission_plan_anew() FROM pg_class"
            " WHERE oid = 'accounts_relationtuple'::regclass AND reltuples < %s",
            [written * 5],
        )


def _run(sql: str, store_id: int, rows: Iterable[Tuple], **rest: Any) -> dict[Key, str]:
    """Return the last column by key ("" when the key is all)."""
    columns: dict[str, list[Any]] = {name: [] for name in (*KEY, "condition", "context")}
    for one in rows:
        for name, value in one.row().items():
            columns[name].append(Jsonb(value) if name == "context" and value else value)
    with connection.cursor() as cursor:
        cursor.execute(sql, {"store": store_id, **columns, **rest})
        return {row[:6]: row[6] if len(row) > 6 else "" for row in cursor.fetchall()}
