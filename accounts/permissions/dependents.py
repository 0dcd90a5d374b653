"""What hangs on what in a model: which relations can change when the tuples of one change, or its definition does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from accounts.permissions.language.model import Computed, FromTupleset, Model, Pair, Relation, This, leaves
from accounts.permissions.tuples import Tuple


class Edge(NamedTuple):
    """`dependent` is made of the subjects of `pair`: on the same object (`tupleset` None), or on those to which tuples
    lead: of `tupleset`, that name `subject_relation` ("" for a parent)."""

    pair: Pair
    dependent: Pair
    tupleset: str | None = None
    subject_relation: str = ""


def edges(model: Model) -> Iterator[Edge]:
    """Everything that hangs on something in a model."""
    for definition in model.types.values():
        for relation in definition.relations.values():
            dependent = (definition.name, relation.name)
            for leaf in leaves(relation.rewrite):
                match leaf:
                    case This():
                        for one in relation.restrictions:
                            if one.relation:
                                yield Edge((one.type, one.relation), dependent, relation.name, one.relation)
                    case Computed(name):
                        yield Edge((definition.name, name), dependent)
                    case FromTupleset(name, tupleset):
                        for one in definition.relations[tupleset].restrictions:
                            if model.relation(one.type, name) and not one.relation and not one.is_wildcard:
                                yield Edge((one.type, name), dependent, tupleset)


def affected(every: Iterable[Edge], changed: Iterable[Pair]) -> set[Pair]:
    """The pairs that changed, and all that hang on them."""
    onward: dict[Pair, set[Pair]] = {}
    for edge in every:
        onward.setdefault(edge.pair, set()).add(edge.dependent)
    found = set(changed)
    waiting = list(found)
    while waiting:
        new = onward.get(waiting.pop(), set()) - found
        found |= new
        waiting.extend(new)
    return found


def read_by(model: Model, one: Tuple) -> Iterator[tuple[Pair, str | None]]:
    """The relations that read a tuple: itself where it is assignable (None), and `name from tupleset` with its name."""
    definition = model.types.get(one.object.type)
    for relation in definition.relations.values() if definition else ():
        for leaf in leaves(relation.rewrite):
            if isinstance(leaf, This) and relation.name == one.relation:
                yield (one.object.type, relation.name), None
            elif isinstance(leaf, FromTupleset) and leaf.tupleset == one.relation:
                yield (one.object.type, relation.name), leaf.relation


def changed_pairs(before: Model, after: Model) -> set[Pair]:
    """The relations that are defined otherwise in two models, or in one of them only. A condition that changed changes
    the relations whose tuples may stand under it."""
    conditions = {
        name
        for name in {*before.conditions, *after.conditions}
        if before.conditions.get(name) != after.conditions.get(name)
    }
    found = set()
    for pair in {*_pairs(before), *_pairs(after)}:
        old, new = before.relation(*pair), after.relation(*pair)
        if old != new or _stands_under(old, conditions):
            found.add(pair)
    for model in (before, after):  # what leads over a tupleset that changed
        for edge in edges(model):
            if edge.tupleset and (edge.dependent[0], edge.tupleset) in found:
                found.add(edge.dependent)
    return found


def _pairs(model: Model) -> Iterator[Pair]:
    for definition in model.types.values():
        for name in definition.relations:
            yield definition.name, name


def _stands_under(relation: Relation | None, conditions: set[str]) -> bool:
    return relation is not None and any(one.condition in conditions for one in relation.restrictions)
