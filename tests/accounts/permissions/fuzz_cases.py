"""Random models, tuples and questions for the differential fuzzer; a seed makes the same case again.

Few ids and few subjects, so that tuples meet and lead in circles.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from accounts.permissions.language.model import (
    Computed,
    Condition,
    Exclusion,
    FromTupleset,
    Intersection,
    Model,
    ParameterType,
    Relation,
    Restriction,
    Rewrite,
    This,
    TypeDefinition,
    Union,
)
from accounts.permissions.tuples import Object, Subject, Tuple

IDS: Final = ("1", "2", "3")
PEOPLE: Final = ("ann", "bob", "cay")
CONDITIONS: Final = {
    "is_small": ({"x": "int"}, "x < 10"),
    "is_red": ({"s": "string"}, "s == 'red'"),
    "is_on": ({"b": "bool"}, "b"),
    "is_both": ({"x": "int", "b": "bool"}, "b && x > 5"),
    "is_either": ({"x": "int", "s": "string"}, "x < 3 || s == 'blue'"),
    "is_always": ({"b": "bool"}, "true || b"),
}
VALUES: Final[Mapping[str, tuple[Any, ...]]] = {"x": (1, 7, 20), "s": ("red", "blue"), "b": (True, False)}

Ask = Literal["check", "list_objects", "list_users"]


@dataclass(frozen=True, slots=True)
class Query:
    """`check`: subject, relation, object. `list_objects`: subject, relation, type. `list_users`: object in `target`,
    relation, the wanted kind (`user`, `group#member`) in `subject`."""

    ask: Ask
    subject: str
    relation: str
    target: str
    context: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return f"{self.ask} {self.subject} {self.relation} {self.target} {dict(self.context) or ''}".rstrip()


@dataclass(frozen=True, slots=True)
class Case:
    """What both engines are given."""

    seed: int
    model: Model
    tuples: tuple[Tuple, ...]
    queries: tuple[Query, ...]


def make(seed: int) -> Case:
    """Return the case of a seed. Its model may be one that the validator refuses."""
    chance = random.Random(seed)
    model = _Maker(chance).model()
    tuples = _tuples(chance, model)
    return Case(seed, model, tuples, tuple(_queries(chance, model)))


class _Maker:
    """Draws a model: names first, then what they are made of, so that references lead somewhere."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.subjects = ["user"] + (["robot"] if chance.random() < 0.3 else [])
        names = ["group", "folder", "document", "team"][: chance.randint(1, 4)]
        self.names = {name: [f"r{number}" for number in range(chance.randint(1, 5))] for name in names}
        self.has_conditions = chance.random() < 0.45
        self.operators = chance.choice([0.0, 0.3, 0.6])
        self.used: set[str] = set()
        self.parents = {name: self._parent(name) for name in names if chance.random() < 0.7}

    def model(self) -> Model:
        types = {name: TypeDefinition(name) for name in self.subjects}
        for name, relations in self.names.items():
            made = [self.parents[name]] if name in self.parents else []
            made += [self._relation(name, relation) for relation in relations]
            types[name] = TypeDefinition(name, {relation.name: relation for relation in made})
        conditions = {}
        for name in sorted(self.used):
            parameters, expression = CONDITIONS[name]
            kinds = {parameter: ParameterType(kind) for parameter, kind in parameters.items()}
            conditions[name] = Condition(name, kinds, expression)
        return Model("1.1", types, conditions)

    def _condition(self) -> str:
        if not self.has_conditions or self.chance.random() > 0.3:
            return ""
        name = self.chance.choice(sorted(CONDITIONS))
        self.used.add(name)
        return name

    def _parent(self, name: str) -> Relation:
        types = self.chance.sample(sorted(self.names), min(len(self.names), self.chance.choice([1, 1, 2])))
        if self.chance.random() < 0.5 and name not in types:
            types[0] = name
        found = tuple(Restriction(parent, condition=self._condition()) for parent in types)
        return Relation("up", This(), found)

    def _relation(self, type_name: str, name: str) -> Relation:
        rewrite = self._rewrite(type_name, name, self.chance.choice([0, 1, 1, 2, 3]), is_first=True)
        is_direct = any(isinstance(leaf, This) for leaf in _leaves(rewrite))
        return Relation(name, rewrite, self._restrictions() if is_direct else ())

    def _restrictions(self) -> tuple[Restriction, ...]:
        found = {}
        for _ in range(self.chance.randint(1, 4)):
            draw = self.chance.random()
            if draw < 0.45:
                one = Restriction(self.chance.choice(self.subjects), condition=self._condition())
            elif draw < 0.6:
                one = Restriction(self.chance.choice(self.subjects), is_wildcard=True, condition=self._condition())
            elif draw < 0.9:
                kind = self.chance.choice(sorted(self.names))
                relation = self.chance.choice(self.names[kind])
                one = Restriction(kind, relation, condition=self._condition())
            else:
                one = Restriction(self.chance.choice(sorted(self.names)), condition=self._condition())
            found[str(one)] = one
        return tuple(found.values())

    def _rewrite(self, type_name: str, name: str, depth: int, *, is_first: bool) -> Rewrite:
        if not depth:
            return self._leaf(type_name, name, is_first=is_first)
        count = self.chance.choice([2, 2, 3])
        parts = [
            self._rewrite(type_name, name, self.chance.randrange(depth), is_first=is_first and number == 0)
            for number in range(count)
        ]
        parts = list({str(part): part for part in parts}.values())
        if len(parts) == 1:
            return parts[0]
        draw = self.chance.random()
        if draw >= self.operators:
            return Union(tuple(parts))
        return Intersection(tuple(parts)) if draw < self.operators * 0.45 else Exclusion(parts[0], parts[1])

    def _leaf(self, type_name: str, name: str, *, is_first: bool) -> Rewrite:
        draw = self.chance.random()
        if is_first and draw < 0.7:
            return This()
        if draw < 0.85 and type_name in self.parents:
            parents = [restriction.type for restriction in self.parents[type_name].restrictions]
            return FromTupleset(self.chance.choice(self.names[self.chance.choice(parents)]), "up")
        others = self.names[type_name]
        earlier = others[: others.index(name)]
        if earlier and self.chance.random() < 0.97:  # the rest leads in circles, mostly: models that are refused
            return Computed(self.chance.choice(earlier))
        return This() if is_first else Computed(self.chance.choice(others))


def _leaves(rewrite: Rewrite) -> Iterator[Rewrite]:
    match rewrite:
        case Union(operands) | Intersection(operands):
            for operand in operands:
                yield from _leaves(operand)
        case Exclusion(base, subtract):
            yield from _leaves(base)
            yield from _leaves(subtract)
        case _:
            yield rewrite


def _tuples(chance: random.Random, model: Model) -> tuple[Tuple, ...]:
    slots = [
        (definition.name, relation.name, restriction)
        for definition in model.types.values()
        for relation in definition.relations.values()
        for restriction in relation.restrictions
    ]
    found: dict[tuple[Any, ...], Tuple] = {}
    for _ in range(chance.randint(3, 28) if slots else 0):
        object_type, relation, restriction = chance.choice(slots)
        wanted = Object(object_type, chance.choice(IDS))
        ids = PEOPLE if restriction.type in ("user", "robot") else IDS
        subject_id = "*" if restriction.is_wildcard else chance.choice(ids)
        subject = Subject(restriction.type, subject_id, restriction.relation)
        if (subject.type, subject.id, subject.relation) == (wanted.type, wanted.id, relation):
            continue  # `group:1#member` is a member of group:1 anyway: OpenFGA does not store it
        context = dict(_context(chance, [0.5, 0.5])) if restriction.condition else None
        one = Tuple(wanted, relation, subject, restriction.condition, context or None)
        if context:  # only parameters of the condition itself can be stored
            declared = model.conditions[restriction.condition].parameters
            kept = {name: value for name, value in context.items() if name in declared}
            one = Tuple(wanted, relation, subject, restriction.condition, kept or None)
        found[wanted, relation, subject] = one
    return tuple(found.values())


def _context(chance: random.Random, odds: list[float]) -> tuple[tuple[str, Any], ...]:
    odd = chance.choice(odds)
    return tuple((name, chance.choice(values)) for name, values in VALUES.items() if chance.random() < odd)


def _queries(chance: random.Random, model: Model) -> Iterator[Query]:
    targets = [(definition.name, relation) for definition in model.types.values() for relation in definition.relations]
    kinds = [name for name in model.types if not model.types[name].relations]
    usersets = [f"{name}#{relation}" for name, relation in targets]

    def context() -> tuple[tuple[str, Any], ...]:
        return _context(chance, [1.0, 1.0, 0.6, 0.0]) if model.conditions else ()

    def subject() -> str:
        draw = chance.random()
        if draw < 0.75:
            return f"{chance.choice(kinds)}:{chance.choice(PEOPLE)}"
        if draw < 0.8:
            return f"{chance.choice(kinds)}:*"
        kind, relation = chance.choice(targets)
        if draw < 0.85:
            return f"{kind}:{chance.choice(IDS)}"
        return f"{kind}:{chance.choice(IDS)}#{relation}"

    for _ in range(10):
        kind, relation = chance.choice(targets)
        yield Query("check", subject(), relation, f"{kind}:{chance.choice(IDS)}", context())
    for _ in range(4):
        kind, relation = chance.choice(targets)
        yield Query("list_objects", subject(), relation, kind, context())
    for _ in range(4):
        kind, relation = chance.choice(targets)
        wanted = chance.choice(kinds * 3 + usersets[:3] + sorted({name for name, _ in targets})[:1])
        yield Query("list_users", wanted, relation, f"{kind}:{chance.choice(IDS)}", context())
