"""What another model changes: its types, relations and conditions, and which stored tuples it allows no more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.db import connection

from accounts.permissions import tuples
from accounts.permissions.language.interchange import rewrite_to_json
from accounts.permissions.language.model import WILDCARD, Condition, Model, Relation
from accounts.permissions.language.printer import condition_to_dsl, relation_to_dsl
from accounts.permissions.tuples import Object, Subject, Tuple

_KINDS_OF_TUPLES: Final = """
    SELECT object_type, relation, subject_type, subject_relation, subject_id = '*', condition, count(*)
    FROM accounts_relationtuple WHERE store_id = %s GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that was added, removed or changed: `document`, `document#viewer`, the condition `in_hours`; `before`
    and `after` as the language writes them."""

    kind: Literal["type", "relation", "condition"]
    name: str
    change: Literal["added", "removed", "changed"]
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Affected:
    """Stored tuples of one kind: `count` of them say that a `subject` (`user`, `user:*`, `group#member`) has the
    relation, under the condition if there is one."""

    object_type: str
    relation: str
    subject: str
    condition: str
    count: int


@dataclass(frozen=True, slots=True)
class StaleTuples:
    """What happens to stored tuples: `lost` were read and will be ignored, `regained` were ignored and will be read."""

    lost: tuple[Affected, ...]
    regained: tuple[Affected, ...]


def differences(before: Model, after: Model) -> list[Difference]:
    """Return what `after` says otherwise than `before`: types first, then relations, then conditions, each by
    their names. The order in which things stand makes no difference."""
    return [*_types(before, after), *_relations(before, after), *_conditions(before, after)]


def stale_tuples(store_id: int, before: Model, after: Model) -> StaleTuples:
    """Return which stored tuples one model allows and the other does not. One query over all tuples of the store."""
    with connection.cursor() as cursor:
        cursor.execute(_KINDS_OF_TUPLES, [store_id])
        rows = cursor.fetchall()
    lost: list[Affected] = []
    regained: list[Affected] = []
    for object_type, relation, subject_type, subject_relation, is_everybody, condition, count in rows:
        subject = Subject(subject_type, WILDCARD if is_everybody else "-", subject_relation)
        one = Tuple(Object(object_type, "-"), relation, subject, condition)
        was, will = tuples.allows(before, one), tuples.allows(after, one)
        if was != will:
            text = f"{subject_type}:*" if is_everybody else f"{subject_type}#{subject_relation}".rstrip("#")
            (lost if was else regained).append(Affected(object_type, relation, text, condition, count))
    return StaleTuples(tuple(lost), tuple(regained))


def _types(before: Model, after: Model) -> Iterator[Difference]:
    for name in sorted(before.types.keys() - after.types.keys()):
        yield Difference("type", name, "removed", None, None)
    for name in sorted(after.types.keys() - before.types.keys()):
        yield Difference("type", name, "added", None, None)


def _relations(before: Model, after: Model) -> Iterator[Difference]:
    old, new = _all_relations(before), _all_relations(after)
    for name in sorted(old.keys() | new.keys()):
        one, other = old.get(name), new.get(name)
        if _meaning(one) != _meaning(other):
            yield _difference("relation", name, _relation_text(one), _relation_text(other))


def _conditions(before: Model, after: Model) -> Iterator[Difference]:
    for name in sorted(before.conditions.keys() | after.conditions.keys()):
        one, other = before.conditions.get(name), after.conditions.get(name)
        if one != other:
            yield _difference("condition", name, _condition_text(one), _condition_text(other))


def _all_relations(model: Model) -> Mapping[str, Relation]:
    return {
        f"{definition.name}#{relation.name}": relation
        for definition in model.types.values()
        for relation in definition.relations.values()
    }


def _meaning(relation: Relation | None) -> Any:
    return None if relation is None else (relation.rewrite, frozenset(relation.restrictions))


def _difference(kind: Literal["relation", "condition"], name: str, before: str | None, after: str | None) -> Difference:
    change: Literal["added", "removed", "changed"] = "changed"
    if before is None or after is None:
        change = "added" if before is None else "removed"
    return Difference(kind, name, change, before, after)


def _relation_text(relation: Relation | None) -> str | None:
    if relation is None:
        return None
    try:
        return relation_to_dsl(relation)
    except ValueError:
        return json.dumps(rewrite_to_json(relation.rewrite))


def _condition_text(condition: Condition | None) -> str | None:
    return condition_to_dsl(condition) if condition is not None else None
