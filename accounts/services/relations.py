"""Relation tuples written and deleted by somebody: one command, one event, however many tuples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from accounts import events
from accounts.permissions import RELATION_TUPLE_WRITE, mirrors, problems
from accounts.permissions.engine import Engine
from accounts.permissions.faults import Code, Refused
from accounts.permissions.models import PermissionModel
from accounts.permissions.product import shipped
from accounts.permissions.tuples import Tuple
from accounts.permissions.writes import OnDuplicate, OnMissing, Outcome
from audit import record
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import FieldFault, Forbidden
from core.events import Subject

_TOLD = 100  # faults of one request that are told; there may be thousands
_LAST_CHANGE = "SELECT coalesce(max(id), 0) FROM accounts_relationchange"
_CHANGES = """
SELECT min(id), max(id) FROM accounts_relationchange
WHERE id > %s AND transaction = pg_current_xact_id()::text::bigint
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of each tuple, in the order of the request."""

    writes: list[Outcome]
    deletes: list[Outcome]


@command("accounts.relation_tuple.write")
def write(
    *,
    actor: Actor,
    engine: Engine,
    writes: Sequence[Tuple] = (),
    deletes: Sequence[Tuple] = (),
    on_duplicate: OnDuplicate = "ignore",
    on_missing: OnMissing = "ignore",
) -> Written:
    """Delete and write tuples, all or none; see `Engine.write` and `Engine.delete` for what becomes of each. Writes
    `accounts.relation.changed` when something changed, with how much and which entries of the change log.

    Raises the errors of `accounts.permissions.problems`, with a pointer into `writes` or `deletes`: among them
    `DuplicateTuples` for a tuple that stands in both, `TupleWriteFailed` for what "error" asks to be told and for one
    to be deleted that a row says; and `Forbidden` for a relation that the product ships, unless no group bounds who
    writes."""
    require(actor, RELATION_TUPLE_WRITE.name)
    if actor.staff_groups is not None:
        _refuse_shipped({"/writes": writes, "/deletes": deletes})
    with problems.told(among={"/writes": writes, "/deletes": deletes}):
        _refuse_in_both(writes, deletes)
        _refuse_said(deletes)
        before = _last_change()
        removed = engine.delete(deletes, on_missing)
        written = engine.write(writes, on_duplicate)
    outcomes = [*removed, *written]
    changed = {
        str(outcome): outcomes.count(outcome)
        for outcome in (Outcome.CREATED, Outcome.REPLACED, Outcome.REMOVED)
        if outcome in outcomes
    }
    if changed:
        first, last = _changes_since(before)
        model = PermissionModel(pk=engine.model_id)
        record(
            events.RELATION_CHANGED,
            actor=actor,
            subject=Subject("permission_store", UUID(int=engine.store_id)),
            data={"counts": changed, "first_change": first, "last_change": last, "model": model.public_id},
        )
    return Written(written, removed)


def _refuse_shipped(among: Mapping[str, Sequence[Tuple]]) -> None:
    """Refuse tuples that say who may do what in the product itself. Nobody gives what they do not hold: by them staff
    whom groups bound would give themselves whatever they lack."""
    faults = [
        FieldFault(f"{pointer}/{number}", Forbidden.code, f"'{one.object.type}#{one.relation}' is the product's own.")
        for pointer, tuples in among.items()
        for number, one in enumerate(tuples)
        if shipped().relation(one.object.type, one.relation) is not None
    ]
    if faults:
        detail = "Only an administrator, whom no group bounds, changes tuples of the product's own relations."
        raise Forbidden(detail, permission=RELATION_TUPLE_WRITE.name, faults=faults[:_TOLD])


def _refuse_in_both(writes: Sequence[Tuple], deletes: Sequence[Tuple]) -> None:
    keys = {(one.object, one.relation, one.subject) for one in deletes}
    for one in writes:
        if (one.object, one.relation, one.subject) in keys:
            message = f"duplicate tuples in one request: {one} is to be written and to be deleted"
            raise Refused(Code.DUPLICATE_TUPLES, message, about=one)


def _refuse_said(deletes: Sequence[Tuple]) -> None:
    """Refuse to delete what a row says: the owner of an organisation would be one and may nothing there."""
    shipping = shipped()
    said = mirrors.said([one for one in deletes if shipping.relation(one.object.type, one.relation) is not None])
    for one in deletes:
        if one.key in said:
            raise Refused(Code.WRITE_FAILED, f"cannot delete a tuple that a row says: {one}; change the row", about=one)


def _last_change() -> int:
    with connection.cursor() as cursor:
        cursor.execute(_LAST_CHANGE)
        return int(cursor.fetchone()[0])


def _changes_since(before: int) -> tuple[int | None, int | None]:
    """Return the ids of the first and the last change that this transaction made beyond `before`; others may have made
    changes in between."""
    with connection.cursor() as cursor:
        cursor.execute(_CHANGES, [before])
        first, last = cursor.fetchone()
    return first, last
