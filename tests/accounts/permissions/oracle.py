"""A third opinion, for questions in which OpenFGA meets a circle: what a model says by the well-founded semantics.

Everything is computed naively: all relations of all objects for one subject, again and again until nothing changes. A
circle adds nothing; what hangs on its own opposite has no truth and counts as a no. Source: Van Gelder, "The
alternating fixpoint of logic programs with negation" (1993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from accounts.permissions.compiler import Hop, Kind, Node, Program, compile_model
from accounts.permissions.conditions import NoValue, compile_condition
from accounts.permissions.language import parse, to_dsl
from accounts.permissions.language.model import (
    Computed,
    FromTupleset,
    Model,
    Relation,
    Rewrite,
    This,
    Union,
    children,
)
from accounts.permissions.tuples import Object, Subject, Tuple

Place: TypeAlias = tuple[int, str]  # a node of the compiled model, and an object's id


def has_entries(model: Model) -> bool:
    """Whether somebody can have each relation: found again and again, from those who stand in a tuple themselves."""
    relations = {(name, one.name): one for name, of in model.types.items() for one in of.relations.values()}
    found: set[tuple[str, str]] = set()

    def holds(type_name: str, relation: Relation, rewrite: Rewrite) -> bool:
        match rewrite:
            case This():
                return any(not one.relation or (one.type, one.relation) in found for one in relation.restrictions)
            case Computed(name):
                return (type_name, name) in found
            case FromTupleset(name, tupleset):
                parents = model.types[type_name].relations[tupleset].restrictions
                return any((one.type, name) in found for one in parents)
            case Union(operands):
                return any(holds(type_name, relation, operand) for operand in operands)
            case _:
                return all(holds(type_name, relation, operand) for operand in children(rewrite))

    while True:
        new = {key for key, one in relations.items() if holds(key[0], one, one.rewrite)} - found
        if not new:
            return len(found) == len(relations)
        found |= new


def steps(program: Program, tuples: Sequence[Tuple], ids: Sequence[str]) -> dict[Place, list[tuple[Place, Hop | Node]]]:
    """Return where each place leads: over tuples, and to the operands of operators."""
    found: dict[Place, list[tuple[Place, Hop | Node]]] = {}
    for hop in program.hops:
        if hop.target is None:
            continue
        if hop.kind is Kind.OPERATOR:
            for number in ids:
                found.setdefault((hop.node, number), []).append(((hop.target, number), hop))
        for one in tuples if hop.kind in (Kind.USERSET, Kind.TUPLESET) else ():
            if _fits(hop, one) and one.subject.id != "*":
                found.setdefault((hop.node, one.object.id), []).append(((hop.target, one.subject.id), hop))
    for node in program.nodes:
        for number in ids if node.operator else ():
            found[node.number, number] = [((operand, number), node) for operand in node.operands]
    return found


def has_circle(model: Model, tuples: Sequence[Tuple], ids: Sequence[str], relation: str, target: Object) -> bool:
    """Whether a question about `target` can come back to where it was."""
    program = _compiled(to_dsl(model))
    onward = {place: [other for other, _ in rest] for place, rest in steps(program, tuples, ids).items()}
    start = (program.relations[target.type, relation], target.id)
    return any(place in _reached(onward, onward.get(place, [])) for place in _reached(onward, [start]))


def _reached(onward: Mapping[Place, Sequence[Place]], start: Sequence[Place]) -> set[Place]:
    found, waiting = set(start), list(start)
    while waiting:
        new = set(onward.get(waiting.pop(), [])) - found
        found |= new
        waiting.extend(new)
    return found


def check(
    model: Model,
    tuples: Sequence[Tuple],
    ids: Sequence[str],
    context: Mapping[str, Any],
    question: tuple[str, str, str],
) -> bool | None:
    """Answer (subject, relation, object); None when that hangs on a condition without a value, as Kleene's logic asks:
    such a tuple may hold or not, whatever the others with the same condition do."""
    sure, possible = _holding(model, tuples, context)
    found = _between(model, sure, possible, ids, question)
    if found is not None:
        return found
    ends = {_between(model, some, some, ids, question) for some in (sure, possible)}
    return False if None in ends else None  # it hangs on its own opposite anyway: that is a no


def _between(
    model: Model, sure: Sequence[Tuple], possible: Sequence[Tuple], ids: Sequence[str], question: tuple[str, str, str]
) -> bool | None:
    """Whether it holds when `sure` do and the rest of `possible` may; None when it may or may not."""
    program = _compiled(to_dsl(model))
    subject, target = Subject.parse(question[0]), Object.parse(question[2])
    low = (steps(program, sure, ids), _met(program, sure, subject, ids))
    high = (steps(program, possible, ids), _met(program, possible, subject, ids))
    place = (program.relations[target.type, question[1]], target.id)
    least: set[Place] = set()
    while True:
        most = _least(program, *high, least, ids)
        following = _least(program, *low, most, ids)
        if following == least:
            break
        least = following
    if place in least:
        return True
    return None if place in most else False


def meets_no_value(
    model: Model,
    tuples: Sequence[Tuple],
    ids: Sequence[str],
    context: Mapping[str, Any],
    question: tuple[str, str],
) -> bool:
    """Whether a tuple that has no value can be met on the way from (relation, object)."""
    program = _compiled(to_dsl(model))
    sure, possible = _holding(model, tuples, context)
    onward = {place: [other for other, _ in rest] for place, rest in steps(program, possible, ids).items()}
    target = Object.parse(question[1])
    reached = _reached(onward, [(program.relations[target.type, question[0]], target.id)])
    open_ones = [one for one in possible if one not in sure]
    return any(
        (hop.node, one.object.id) in reached and _fits(hop, one)
        for hop in program.hops
        if hop.kind < Kind.OPERATOR
        for one in open_ones
    )


@cache
def _compiled(dsl: str) -> Program:
    return compile_model(parse(dsl))


def _holding(model: Model, tuples: Sequence[Tuple], context: Mapping[str, Any]) -> tuple[list[Tuple], list[Tuple]]:
    """The tuples that hold, and those that hold or have no value."""
    sure, possible = [], []
    compiled = {name: compile_condition(condition) for name, condition in model.conditions.items()}
    for one in tuples:
        try:
            holds = not one.condition or compiled[one.condition].evaluate(one.context, context)
        except NoValue:
            possible.append(one)
            continue
        if holds:
            sure.append(one)
            possible.append(one)
    return sure, possible


def _met(program: Program, tuples: Sequence[Tuple], subject: Subject, ids: Sequence[str]) -> set[Place]:
    """Where the subject stands in a tuple itself, or everybody of its type does."""
    found: set[Place] = set()
    for hop in program.hops:
        if (hop.subject_type, hop.subject_relation) != (subject.type, subject.relation):
            continue
        if hop.kind is Kind.SELF and subject.relation:
            found.add((hop.node, subject.id))
        wanted = {Kind.SUBJECT: subject.id, Kind.EVERYBODY: "*"}.get(hop.kind)
        if wanted is None or (hop.kind is Kind.SUBJECT and subject.is_everybody):
            continue
        found |= {(hop.node, one.object.id) for one in tuples if _fits(hop, one) and one.subject.id == wanted}
    return found


def _least(
    program: Program,
    onward: Mapping[Place, Sequence[tuple[Place, Hop | Node]]],
    met: set[Place],
    taken_away: set[Place],
    ids: Sequence[str],
) -> set[Place]:
    """The least places that hold, when what `but not` takes away holds exactly in `taken_away`."""
    found = set(met)
    while True:
        before = len(found)
        for node in program.nodes:
            for number in ids:
                place = (node.number, number)
                targets = [target for target, _ in onward.get(place, [])]
                match node.operator:
                    case "&":
                        holds = all(target in found for target in targets)
                    case "-":
                        holds = targets[0] in found and targets[1] not in taken_away
                    case _:
                        holds = any(target in found for target in targets)
                if holds:
                    found.add(place)
        if len(found) == before:
            return found


def _fits(hop: Hop, one: Tuple) -> bool:
    subject = one.subject
    return (one.object.type, one.relation, subject.type, subject.relation, one.condition) == (
        hop.object_type,
        hop.relation,
        hop.subject_type,
        hop.subject_relation,
        hop.condition,
    )
