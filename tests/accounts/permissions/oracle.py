"""A third opinion, for questions in which OpenFGA meets a circle: what a model says by the well-founded semantics.

Everything is computed naively: all relations of all objects for one subject, again and again until nothing changes. A
circle adds nothing; what hangs on its own opposite has no truth and counts as a no. Source: Van Gelder, "The
alternating fixpoint of logic programs with negation" (1993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from accounts.permissions.compiler import Hop, Kind, Node, Program, compile_model
from accounts.permissions.conditions import NoValue, compile_condition
from accounts.permissions.language.model import Model
from accounts.permissions.tuples import Object, Subject, Tuple

Place: TypeAlias = tuple[int, str]  # a node of the compiled model, and an object's id


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
    program = compile_model(model)
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
    """Answer (subject, relation, object); None when a condition has no value."""
    compiled = {name: compile_condition(condition) for name, condition in model.conditions.items()}
    try:
        holding = [one for one in tuples if not one.condition or compiled[one.condition].evaluate(one.context, context)]
    except NoValue:
        return None
    program = compile_model(model)
    onward = steps(program, holding, ids)
    subject, target = Subject.parse(question[0]), Object.parse(question[2])
    met = _met(program, holding, subject, ids)
    least: set[Place] = set()
    while True:
        most = _least(program, onward, met, least, ids)
        following = _least(program, onward, met, most, ids)
        if following == least:
            return (program.relations[target.type, question[1]], target.id) in least
        least = following


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
