"""What a relation of one object is made of, one level deep: OpenFGA's expand.

The answer has OpenFGA's shape and, as there, conditions are not evaluated: a tuple that stands under one is shown. What
the model does not allow any more is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from accounts.permissions import tuples
from accounts.permissions.defined import NOT_FOUND, find_relation
from accounts.permissions.language.model import (
    Computed,
    Exclusion,
    FromTupleset,
    Intersection,
    Rewrite,
    This,
    Union,
)
from accounts.permissions.models import RelationTuple
from accounts.permissions.tuples import Given, Object, Subject, Tuple

if TYPE_CHECKING:
    from accounts.permissions.engine import Engine


@dataclass(frozen=True, slots=True)
class Users:
    """Who stands in the relation's own tuples: `user:ann`, `user:*`, `group:eng#member`."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComputedLeaf:
    """Whoever has another relation to the same object: `document:1#editor`."""

    userset: str


@dataclass(frozen=True, slots=True)
class TuplesetLeaf:
    """Whoever has a relation to the objects that stand in `tupleset` (`document:1#parent`): one userset for each."""

    tupleset: str
    computed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """`union`, `intersection` or `difference` (whose nodes are the base and what is subtracted)."""

    name: str
    nodes: tuple[Node, ...]


Content: TypeAlias = Users | ComputedLeaf | TuplesetLeaf | Operator


@dataclass(frozen=True, slots=True)
class Node:
    """`name` is the userset that is expanded, the same in the whole tree."""

    name: str
    content: Content

    def as_json(self) -> dict[str, Any]:
        """Return the node as OpenFGA's JSON writes it."""
        match self.content:
            case Users(users):
                held: dict[str, Any] = {"leaf": {"users": {"users": list(users)}}}
            case ComputedLeaf(userset):
                held = {"leaf": {"computed": {"userset": userset}}}
            case TuplesetLeaf(tupleset, computed):
                usersets = [{"userset": one} for one in computed]
                held = {"leaf": {"tupleToUserset": {"tupleset": tupleset, "computed": usersets}}}
            case Operator("difference", (base, subtract)):
                held = {"difference": {"base": base.as_json(), "subtract": subtract.as_json()}}
            case Operator(name, nodes):
                held = {name: {"nodes": [node.as_json() for node in nodes]}}
        return {"name": self.name, **held}


@dataclass(frozen=True, slots=True)
class Tree:
    """The answer to expand."""

    root: Node

    def as_json(self) -> dict[str, Any]:
        """Return OpenFGA's answer: {"tree": {"root": {...}}}."""
        return {"tree": {"root": self.root.as_json()}}


def expand(engine: Engine, target: str, relation: str, given: Given = ()) -> Tree:
    """Return what `relation` of the object `target` is made of. One query. Raises Refused: 2000 for what is no object,
    2021 and 2022 for a type or relation that is not in the model, 2027 for a tuple given that it does not allow."""
    wanted = Object.parse(target)
    rewrite = find_relation(engine.model, wanted.type, relation, NOT_FOUND).rewrite
    read = _subjects(engine, wanted, _relations_read(relation, rewrite), given)
    return Tree(_node(f"{wanted}#{relation}", wanted, relation, rewrite, read))


def _relations_read(relation: str, rewrite: Rewrite) -> set[str]:
    match rewrite:
        case This():
            return {relation}
        case FromTupleset():
            return {rewrite.tupleset}
        case Union(operands) | Intersection(operands):
            return set().union(*(_relations_read(relation, operand) for operand in operands))
        case Exclusion(base, subtract):
            return _relations_read(relation, base) | _relations_read(relation, subtract)
        case Computed():
            return set()


def _subjects(engine: Engine, wanted: Object, relations: set[str], given: Given) -> Mapping[str, list[Subject]]:
    """The subjects of the object's tuples by relation, each once, in order."""
    rows = RelationTuple.objects.filter(
        store_id=engine.store_id, object_type=wanted.type, object_id=wanted.id, relation__in=relations
    ).values_list("relation", "subject_type", "subject_id", "subject_relation", "condition")
    stored = [Tuple(wanted, row[0], Subject(*row[1:4]), row[4]) for row in rows]
    brought = tuples.brought(engine.model, (*engine.always_given, *given))
    kept = [*filter(engine.allows, stored), *(one for one in brought if one.object == wanted)]
    found: dict[str, list[Subject]] = {name: [] for name in relations}
    for one in sorted(set(map(_without_context, kept)), key=str):
        if one.relation in found and one.subject not in found[one.relation]:
            found[one.relation].append(one.subject)
    return found


def _without_context(one: Tuple) -> Tuple:
    return Tuple(one.object, one.relation, one.subject)


def _node(name: str, wanted: Object, relation: str, rewrite: Rewrite, read: Mapping[str, list[Subject]]) -> Node:
    match rewrite:
        case This():
            return Node(name, Users(tuple(map(str, read[relation]))))
        case Computed(other):
            return Node(name, ComputedLeaf(f"{wanted}#{other}"))
        case FromTupleset(other, tupleset):
            computed = tuple(f"{parent.type}:{parent.id}#{other}" for parent in read[tupleset])
            return Node(name, TuplesetLeaf(f"{wanted}#{tupleset}", computed))
        case Union(operands):
            kind, parts = "union", operands
        case Intersection(operands):
            kind, parts = "intersection", operands
        case Exclusion(base, subtract):
            kind, parts = "difference", (base, subtract)
    return Node(name, Operator(kind, tuple(_node(name, wanted, relation, part, read) for part in parts)))
