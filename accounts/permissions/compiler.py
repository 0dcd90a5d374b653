"""From a model to what the engine walks: nodes and hops.

A *node* is a set of subjects of one object: a relation of a type, or an operand of `and` and `but not`. Within a node
everything that only unites is dissolved: `define viewer: [user] or editor or viewer from parent` becomes one node whose
*hops* lead to tuples of `viewer` and `editor` and, over tuples of `parent`, to other nodes. So a check is one walk
over the graph of nodes, a level at a time, and only `and` and `but not` are questions of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import permutations

from accounts.permissions.language.model import (
    Computed,
    Exclusion,
    FromTupleset,
    Intersection,
    Model,
    Pair,
    Relation,
    Rewrite,
    This,
    Union,
)


class Kind(IntEnum):
    """What a hop reads."""

    SUBJECT = 0  # a tuple that names the subject: `user:ann`, or the very userset `group:eng#member` asked about
    EVERYBODY = 1  # a tuple for `user:*`
    USERSET = 2  # a tuple for `group:eng#member`: on to that node of that group
    TUPLESET = 3  # a tuple of the tupleset: on to the node of the parent
    OPERATOR = 4  # no tuple: an `and` or `but not` of the same object
    SELF = 5  # no tuple: the userset `document:1#editor` is among the editors of document:1


@dataclass(frozen=True, slots=True)
class Hop:
    """One step from `node`; see `Kind`. `target` is the node it leads to, `subjects` are the kinds of subjects (`user`,
    `group#member`) that can be met by it."""

    node: int
    kind: Kind
    object_type: str
    relation: str = ""
    subject_type: str = ""
    subject_relation: str = ""
    condition: str = ""
    target: int | None = None
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """`operator` is empty for a set, `&` for `and` and `-` for `but not`, whose operands are nodes."""

    number: int
    object_type: str
    operator: str = ""
    operands: tuple[int, ...] = ()


@dataclass(slots=True)
class Program:
    """A compiled model. `relations` leads from (type, relation) to its node, `reached` says what each node can lead to
    and `regions` what it leads to over tuples alone (itself included in both), `subjects` the kinds of
    subjects that can be among those of each node."""

    nodes: list[Node] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)
    relations: dict[Pair, int] = field(default_factory=dict)
    reached: dict[int, frozenset[int]] = field(default_factory=dict)
    regions: dict[int, frozenset[int]] = field(default_factory=dict)
    subjects: dict[int, frozenset[str]] = field(default_factory=dict)
    conditional: frozenset[int] = frozenset()  # nodes from which a condition can be met
    circular: frozenset[int] = frozenset()  # operators that lead back to themselves
    onward: dict[int, set[int]] = field(default_factory=dict)  # from node to node, of an operator to its first operand
    _ways: dict[int, tuple[frozenset[int], frozenset[int]]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What changes with the compiled model: by the model, or by another compiler."""
        return hashlib.sha256(repr((self.nodes, self.hops, sorted(self.circular))).encode()).hexdigest()

    def has_operators(self, node: int) -> bool:
        """Whether a walk from `node` can meet an `and` or a `but not`."""
        return any(self.nodes[number].operator for number in self.reached[node])

    def is_layered(self, node: int) -> bool:
        """Whether no `and` or `but not` that `node` leads to leads back to itself: then sets can be combined."""
        return not self.reached[node] & self.circular

    def circles(self, nodes: Iterable[int]) -> list[list[int]] | None:
        """Return the operators that lead back to themselves among those that `nodes` lead to, in sets of those that
        lead to each other, behind the sets to which they lead. None where what a `but not` takes away leads back to it:
        then they cannot be found one set after the other."""
        met = frozenset[int]().union(*(self.reached[node] for node in nodes)) & self.circular
        for number in met:
            one = self.nodes[number]
            if one.operator == "-" and number in self.reached[one.operands[1]]:
                return None
        circles = {frozenset(other for other in met & self.reached[one] if one in self.reached[other]) for one in met}
        return sorted(map(sorted, circles), key=lambda circle: (len(self.reached[circle[0]]), circle))

    def behind(self, nodes: Iterable[int]) -> frozenset[int]:
        """Where walks from `nodes` can find a candidate: `reached`, but of an operator the first operand alone."""
        return _closure(self.onward, set(nodes))

    def ways(self, node: int) -> tuple[frozenset[int], frozenset[int]]:
        """Return the nodes of the same object at which what `node` holds is found over a last tuple (itself, and of
        operators the first operand), and the nodes to which that tuple can lead. The first are none when `node` is
        among the second: then any tuple may be the last."""
        if node not in self._ways:
            operands: dict[int, set[int]] = {one.number: set() for one in self.nodes}
            for hop in self.hops:
                if hop.kind is Kind.OPERATOR and hop.target is not None:
                    operands[hop.node].add(self.nodes[hop.target].operands[0])
            finals = _closure(operands, {node})
            inner = self.behind(
                hop.target
                for hop in self.hops
                if hop.node in finals and hop.kind is not Kind.OPERATOR and hop.target is not None
            )
            self._ways[node] = (frozenset(), self.behind([node])) if node in inner else (finals, inner)
        return self._ways[node]


def compile_model(model: Model) -> Program:
    """Compile a model that `language.check` found no fault with."""
    compiler = _Compiler(model)
    for object_type, relation in _relations(model):
        compiler.fill(compiler.program.relations[object_type, relation.name], object_type, relation, relation.rewrite)
    program = compiler.program
    program.hops = _without_lesser(dict.fromkeys(program.hops))
    _close(program)
    with_condition = {hop.node for hop in program.hops if hop.condition}
    program.conditional = frozenset(number for number, found in program.reached.items() if found & with_condition)
    return program


def _relations(model: Model) -> Iterator[tuple[str, Relation]]:
    """All relations in the order of their names: a model is compiled to the same numbers wherever it was read from."""
    for object_type, definition in sorted(model.types.items()):
        for _, relation in sorted(definition.relations.items()):
            yield object_type, relation


class _Compiler:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.program = Program()
        self._operators: dict[tuple[str, str, int], int] = {}
        for object_type, relation in _relations(model):
            self.program.relations[object_type, relation.name] = self._node(object_type)

    def _node(self, object_type: str, operator: str = "", operands: Iterable[int] = ()) -> int:
        number = len(self.program.nodes)
        self.program.nodes.append(Node(number, object_type, operator, tuple(operands)))
        return number

    def _hop(self, node: int, kind: Kind, object_type: str, **rest: str | int | None) -> None:
        self.program.hops.append(Hop(node, kind, object_type, **rest))  # type: ignore[arg-type]

    def fill(self, node: int, object_type: str, relation: Relation, rewrite: Rewrite) -> None:
        """Give `node` the hops of a rewrite that stands in `relation`, through all that it only unites."""
        if rewrite is relation.rewrite:
            self._hop(node, Kind.SELF, object_type, subject_type=object_type, subject_relation=relation.name)
        self._walk(node, object_type, relation, rewrite, {relation.name} if rewrite is relation.rewrite else set())

    def _walk(self, node: int, object_type: str, relation: Relation, rewrite: Rewrite, seen: set[str]) -> None:
        match rewrite:
            case This():
                self._this(node, object_type, relation)
            case Computed(name):
                if name not in seen:
                    seen.add(name)
                    self._hop(node, Kind.SELF, object_type, subject_type=object_type, subject_relation=name)
                    other = self.model.types[object_type].relations[name]
                    self._walk(node, object_type, other, other.rewrite, seen)
            case FromTupleset():
                self._from_tupleset(node, object_type, rewrite)
            case Union(operands):
                for operand in operands:
                    self._walk(node, object_type, relation, operand, seen)
            case Intersection() | Exclusion():
                target = self._operator(object_type, relation, rewrite)
                self._hop(node, Kind.OPERATOR, object_type, target=target)

    def _this(self, node: int, object_type: str, relation: Relation) -> None:
        for restriction in relation.restrictions:
            common = {
                "relation": relation.name,
                "subject_type": restriction.type,
                "subject_relation": restriction.relation,
                "condition": restriction.condition,
            }
            kind = Kind.EVERYBODY if restriction.is_wildcard else Kind.SUBJECT
            self._hop(node, kind, object_type, **common)
            if restriction.relation:
                target = self.program.relations[restriction.type, restriction.relation]
                self._hop(node, Kind.USERSET, object_type, **common, target=target)

    def _from_tupleset(self, node: int, object_type: str, rewrite: FromTupleset) -> None:
        for restriction in self.model.types[object_type].relations[rewrite.tupleset].restrictions:
            target = self.program.relations.get((restriction.type, rewrite.relation))
            if target is not None and not restriction.is_wildcard and not restriction.relation:
                self._hop(
                    node,
                    Kind.TUPLESET,
                    object_type,
                    relation=rewrite.tupleset,
                    subject_type=restriction.type,
                    condition=restriction.condition,
                    target=target,
                )

    def _operator(self, object_type: str, relation: Relation, rewrite: Intersection | Exclusion) -> int:
        """The node of an operator: one for each place in the model, from wherever it is reached."""
        key = (object_type, relation.name, id(rewrite))
        if key not in self._operators:
            operands = rewrite.children if isinstance(rewrite, Intersection) else (rewrite.base, rewrite.subtract)
            numbers = [self._node(object_type) for _ in operands]
            sign = "&" if isinstance(rewrite, Intersection) else "-"
            self._operators[key] = self._node(object_type, sign, numbers)
            for number, operand in zip(numbers, operands, strict=True):
                self._walk(number, object_type, relation, operand, set())
        return self._operators[key]


def _without_lesser(hops: Iterable[Hop]) -> list[Hop]:
    """Leave out hops beside one that reads the same tuples and leads to a node that holds all that theirs holds: in
    `editor from parent or viewer from parent` the first, where editors are viewers. Else each parent is visited twice.
    """
    ways: dict[int, dict[Hop, set[int]]] = {}  # of each node: what its hops read, and where they lead to
    for hop in hops:
        targets = ways.setdefault(hop.node, {}).setdefault(_reading(hop), set())
        if hop.target is not None:
            targets.add(hop.target)
    lesser = _lesser(ways)

    def is_left_out(hop: Hop) -> bool:
        others = ways[hop.node][_reading(hop)] - {hop.target}
        return any(
            (hop.target, other) in lesser and ((other, hop.target) not in lesser or other < (hop.target or 0))
            for other in others
        )

    return [hop for hop in hops if not is_left_out(hop)]


def _reading(hop: Hop) -> Hop:
    """What a hop reads, wherever it starts and leads to. (Operators read nothing: each is its own.)"""
    return replace(hop, node=0, target=hop.target if hop.kind is Kind.OPERATOR else None)


def _lesser(ways: Mapping[int, Mapping[Hop, set[int]]]) -> set[tuple[int, int]]:
    """Return pairs of nodes of which the second holds all that the first does: for each way of the first there is one
    of the second that reads the same and leads to as much (the greatest simulation)."""
    waiting = [
        pair for of in ways.values() for targets in of.values() if len(targets) > 1 for pair in permutations(targets, 2)
    ]
    found: set[tuple[int, int]] = set()
    while waiting:
        pair = waiting.pop()
        less, more = (ways.get(number, {}) for number in pair)
        if pair not in found and less.keys() <= more.keys():
            found.add(pair)
            waiting += [(a, b) for reads, targets in less.items() for a in targets for b in more[reads] if a != b]
    while wrong := {(a, b) for a, b in found if not _holds_all(ways.get(a, {}), ways[b], found)}:
        found -= wrong
    return found


def _holds_all(less: Mapping[Hop, set[int]], more: Mapping[Hop, set[int]], supposed: set[tuple[int, int]]) -> bool:
    return all(
        any(target == other or (target, other) in supposed for other in more[reads])
        for reads, targets in less.items()
        for target in targets
    )


def _close(program: Program) -> None:
    """Fill in what follows from nodes and hops alone."""
    over_tuples: dict[int, set[int]] = {node.number: set() for node in program.nodes}
    onward: dict[int, set[int]] = {node.number: set(node.operands) for node in program.nodes}
    for hop in program.hops:
        if hop.target is not None:
            onward[hop.node].add(hop.target)
            if hop.kind is not Kind.OPERATOR:
                over_tuples[hop.node].add(hop.target)
    program.onward = {
        node.number: set(node.operands[:1]) | (onward[node.number] - set(node.operands)) for node in program.nodes
    }
    program.reached = {start: _closure(onward, {start}) for start in onward}
    program.regions = {start: _closure(over_tuples, {start}) for start in over_tuples}
    program.subjects = _kinds_of_subjects(program)
    program.hops = [replace(hop, subjects=_subjects(program, hop)) for hop in program.hops]
    program.circular = frozenset(
        node.number for node in program.nodes if node.operator and node.number in _closure(onward, onward[node.number])
    )


def subject_kind(subject_type: str, relation: str) -> str:
    """`user`, or `group#member`."""
    return f"{subject_type}#{relation}" if relation else subject_type


def _kinds_of_subjects(program: Program) -> dict[int, frozenset[str]]:
    """What can be among the subjects of each node: of `and` what all operands have, of `but not` what its base has."""
    found: dict[int, frozenset[str]] = {node.number: frozenset() for node in program.nodes}
    while True:
        before = dict(found)
        for node in program.nodes:
            if node.operator:
                operands = [found[number] for number in node.operands]
                found[node.number] = frozenset.intersection(*operands) if node.operator == "&" else operands[0]
        for hop in program.hops:
            kind = subject_kind(hop.subject_type, hop.subject_relation)
            met = found[hop.target] if hop.target is not None else frozenset({kind})
            found[hop.node] |= met
        if found == before:
            return found


def _subjects(program: Program, hop: Hop) -> tuple[str, ...]:
    if hop.target is None:
        return (subject_kind(hop.subject_type, hop.subject_relation),)
    return tuple(sorted(program.subjects[hop.target]))


def _closure(onward: Mapping[int, set[int]], start: set[int]) -> frozenset[int]:
    reached, waiting = set(start), list(start)
    while waiting:
        new = onward[waiting.pop()] - reached
        reached |= new
        waiting.extend(new)
    return frozenset(reached)
