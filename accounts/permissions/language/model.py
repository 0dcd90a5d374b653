"""A model as data: types, their relations, how each relation is made, and conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from accounts.permissions.language.faults import NOWHERE, Place

Pair: TypeAlias = tuple[str, str]  # a type and its relation

WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class Restriction:
    """Who may stand in a tuple: `user`, `user:*` (wildcard), `group#member` (relation), each `with condition`."""

    type: str
    relation: str = ""
    is_wildcard: bool = False
    condition: str = ""
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def subject(self) -> str:
        """The restriction without its condition, as it is written."""
        if self.is_wildcard:
            return f"{self.type}:{WILDCARD}"
        return f"{self.type}#{self.relation}" if self.relation else self.type

    def __str__(self) -> str:
        return f"{self.subject} with {self.condition}" if self.condition else self.subject


@dataclass(frozen=True, slots=True)
class This:
    """`[user, group#member]`: the tuples written for the relation itself. Its restrictions stand on the relation."""

    place: Place = field(default=NOWHERE, compare=False)

    def __str__(self) -> str:
        return "this"


@dataclass(frozen=True, slots=True)
class Computed:
    """`editor`: whoever has another relation to the same object."""

    relation: str
    place: Place = field(default=NOWHERE, compare=False)

    def __str__(self) -> str:
        return self.relation


@dataclass(frozen=True, slots=True)
class FromTupleset:
    """`viewer from parent`: whoever has `relation` to an object that stands in `tupleset` of this one."""

    relation: str
    tupleset: str
    place: Place = field(default=NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"{self.relation} from {self.tupleset}"


@dataclass(frozen=True, slots=True)
class Union:
    """`a or b`."""

    children: tuple[Rewrite, ...]


@dataclass(frozen=True, slots=True)
class Intersection:
    """`a and b`."""

    children: tuple[Rewrite, ...]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """`base but not subtract`."""

    base: Rewrite
    subtract: Rewrite


Leaf: TypeAlias = This | Computed | FromTupleset
Rewrite: TypeAlias = Leaf | Union | Intersection | Exclusion


def children(rewrite: Rewrite) -> tuple[Rewrite, ...]:
    """The operands of an operator, none of a leaf."""
    if isinstance(rewrite, Union | Intersection):
        return rewrite.children
    return (rewrite.base, rewrite.subtract) if isinstance(rewrite, Exclusion) else ()


def leaves(rewrite: Rewrite) -> Iterator[Leaf]:
    """Every leaf, from left to right."""
    if isinstance(rewrite, This | Computed | FromTupleset):
        yield rewrite
        return
    for child in children(rewrite):
        yield from leaves(child)


@dataclass(frozen=True, slots=True)
class Relation:
    """`define name: rewrite`; `restrictions` are those of its `This`, empty when it has none."""

    name: str
    rewrite: Rewrite
    restrictions: tuple[Restriction, ...] = ()
    place: Place = field(default=NOWHERE, compare=False)
    module: str = field(default="", compare=False)

    @property
    def is_direct(self) -> bool:
        """Whether it is made of its own tuples and nothing else."""
        return isinstance(self.rewrite, This)

    @property
    def is_assignable(self) -> bool:
        return any(isinstance(leaf, This) for leaf in leaves(self.rewrite))


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """`type name` with its relations in the order of the text."""

    name: str
    relations: Mapping[str, Relation] = field(default_factory=dict)
    place: Place = field(default=NOWHERE, compare=False)
    module: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ParameterType:
    """`int`, `list<string>`: a name of CEL's types, and what a list or a map holds."""

    name: str
    of: tuple[ParameterType, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}<{', '.join(map(str, self.of))}>" if self.of else self.name


@dataclass(frozen=True, slots=True)
class Condition:
    """`condition name(x: int) { x < 100 }`: a CEL expression over declared parameters."""

    name: str
    parameters: Mapping[str, ParameterType]
    expression: str
    place: Place = field(default=NOWHERE, compare=False)
    module: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Model:
    """A whole model. `repeated` keeps definitions whose name was taken already, for the check to name them."""

    schema_version: str
    types: Mapping[str, TypeDefinition]
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    repeated: tuple[TypeDefinition | Condition, ...] = ()
    schema_place: Place = field(default=NOWHERE, compare=False)

    def relation(self, type_name: str, name: str) -> Relation | None:
        """Return a relation of a type, or None."""
        found = self.types.get(type_name)
        return None if found is None else found.relations.get(name)
