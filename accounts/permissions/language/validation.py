"""What the grammar allows and the meaning does not: names, references, entry points, conditions.

The rules are those of OpenFGA's own validator (openfga/language, `validate-dsl`) and of its server, which adds circles:
a model is refused here when it is refused there. Faults come in steps, each only when the one before found nothing:
names, references, duplicates, entry points, circles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from accounts.permissions.language.faults import Fault, FaultType
from accounts.permissions.language.model import (
    Computed,
    Condition,
    Exclusion,
    FromTupleset,
    Intersection,
    Model,
    Relation,
    Restriction,
    Rewrite,
    This,
    TypeDefinition,
    Union,
    children,
    leaves,
)

TYPE_RULE = r"^[^:#@\s]{1,254}$"
RELATION_RULE = r"^[^:#@\s]{1,50}$"
_RESERVED = frozenset({"self", "this"})
SCHEMA_VERSIONS = ("1.1", "1.2")


def check(model: Model) -> list[Fault]:
    """Return what is wrong with a model, in the order of its text; an empty list says that it can be used."""
    faults = [*_schema(model), *_names(model)]
    if not faults:
        faults = list(_references(model))
    if not faults:
        faults = [*_duplicates(model)]
    if not faults:
        faults = list(_entries(model))
    if not faults:
        faults = list(_circles(model))
    return [*faults, *_unused_conditions(model)]


def _schema(model: Model) -> Iterator[Fault]:
    if not model.schema_version:
        yield Fault(FaultType.SCHEMA_VERSION_REQUIRED, "A schema version is required.", model.schema_place)
    elif model.schema_version not in SCHEMA_VERSIONS:
        message = f"Invalid schema {model.schema_version}; known are {' and '.join(SCHEMA_VERSIONS)}."
        yield Fault(FaultType.INVALID_SCHEMA, message, model.schema_place, model.schema_version)


# names


def _names(model: Model) -> Iterator[Fault]:
    for definition in model.types.values():
        name = definition.name
        if name in _RESERVED:
            message = "A type cannot be named 'self' or 'this'."
            yield Fault(FaultType.RESERVED_TYPE, message, definition.place, name)
        elif not re.match(TYPE_RULE, name):
            message = f"Type '{name}' does not match the naming rule {TYPE_RULE}."
            yield Fault(FaultType.INVALID_NAME, message, definition.place, name)
        for relation in definition.relations.values():
            yield from _relation_name(definition, relation)


def _relation_name(definition: TypeDefinition, relation: Relation) -> Iterator[Fault]:
    if relation.name in _RESERVED:
        message = "A relation cannot be named 'self' or 'this'."
        yield Fault(FaultType.RESERVED_RELATION, message, relation.place, relation.name)
    elif not re.match(RELATION_RULE, relation.name):
        message = f"Relation '{relation.name}' of '{definition.name}' does not match the naming rule {RELATION_RULE}."
        yield Fault(FaultType.INVALID_NAME, message, relation.place, relation.name)


# references


def _references(model: Model) -> Iterator[Fault]:
    for definition in model.types.values():
        for relation in definition.relations.values():
            for leaf in leaves(relation.rewrite):
                if isinstance(leaf, This):
                    yield from _this(model, relation)
                elif isinstance(leaf, Computed):
                    if leaf.relation not in definition.relations:
                        message = f"The relation `{leaf.relation}` does not exist."
                        yield Fault(FaultType.MISSING_DEFINITION, message, leaf.place, leaf.relation)
                else:
                    yield from _from_tupleset(model, definition, leaf)


def _this(model: Model, relation: Relation) -> Iterator[Fault]:
    if not relation.restrictions:
        message = f"The assignable relation `{relation.name}` must have types."
        yield Fault(FaultType.NOT_ASSIGNABLE, message, relation.place, relation.name)
    for restriction in relation.restrictions:
        if restriction.type not in model.types:
            message = f"`{restriction.type}` is not a valid type."
            yield Fault(FaultType.INVALID_TYPE, message, restriction.place, restriction.type)
        elif restriction.relation and restriction.is_wildcard:
            yield _wildcard_and_relation(restriction)
        elif restriction.relation and model.relation(restriction.type, restriction.relation) is None:
            message = f"`{restriction.relation}` is not a valid relation for `{restriction.type}`."
            yield Fault(FaultType.INVALID_RELATION_TYPE, message, restriction.place, restriction.subject)
        if restriction.condition and restriction.condition not in model.conditions:
            message = f"`{restriction.condition}` is not a defined condition in the model."
            yield Fault(FaultType.CONDITION_NOT_DEFINED, message, restriction.place, restriction.condition)


def _from_tupleset(model: Model, definition: TypeDefinition, leaf: FromTupleset) -> Iterator[Fault]:
    tupleset = definition.relations.get(leaf.tupleset)
    if tupleset is None:
        message = f"`{leaf.tupleset}` is not a valid relation for `{definition.name}`."
        yield Fault(FaultType.INVALID_RELATION_TYPE, message, leaf.place, str(leaf))
        return
    if not tupleset.is_direct:
        yield _not_direct(leaf)
        return
    missing = []
    for restriction in tupleset.restrictions:
        if restriction.is_wildcard:
            yield _wildcard_and_relation(restriction)
        elif restriction.relation:
            yield _not_direct(leaf)
        elif model.relation(restriction.type, leaf.relation) is None:
            missing.append(restriction.type)
    if len(missing) == len(tupleset.restrictions):
        for name in missing:
            message = f"`{leaf.relation}` is not a valid relation for `{name}`."
            yield Fault(FaultType.INVALID_RELATION_TYPE, message, leaf.place, str(leaf))


def _not_direct(leaf: FromTupleset) -> Fault:
    message = f"`{leaf.tupleset}` relation used inside from allows only direct relation."
    return Fault(FaultType.TUPLESET_NOT_DIRECT, message, leaf.place, leaf.tupleset)


def _wildcard_and_relation(restriction: Restriction) -> Fault:
    message = f"The type restriction `{restriction.subject}` cannot contain both wildcard and relation."
    return Fault(FaultType.WILDCARD_AND_RELATION, message, restriction.place, restriction.subject)


# duplicates


def _duplicates(model: Model) -> Iterator[Fault]:
    for again in model.repeated:
        kind = "condition" if isinstance(again, Condition) else "type"
        yield Fault(FaultType.DUPLICATED, f"The {kind} `{again.name}` is a duplicate.", again.place, again.name)
    for definition in model.types.values():
        for relation in definition.relations.values():
            yield from _repeated_restrictions(relation)
            yield from _repeated_operands(relation)


def _repeated_restrictions(relation: Relation) -> Iterator[Fault]:
    seen: set[str] = set()
    for restriction in relation.restrictions:
        if str(restriction) in seen:
            message = f"The type restriction `{restriction}` is a duplicate in the relation `{relation.name}`."
            yield Fault(FaultType.DUPLICATED, message, restriction.place, str(restriction))
        seen.add(str(restriction))


def _repeated_operands(relation: Relation) -> Iterator[Fault]:
    """Only the outermost operator is looked at, as OpenFGA does."""
    seen: set[str] = set()
    for operand in children(relation.rewrite):
        if not isinstance(operand, Computed | FromTupleset):
            continue
        if str(operand) in seen:
            message = f"The partial relation definition `{operand}` is a duplicate in the relation `{relation.name}`."
            yield Fault(FaultType.DUPLICATED, message, operand.place, str(operand))
        seen.add(str(operand))


# entry points


def _entries(model: Model) -> Iterator[Fault]:
    for definition in model.types.values():
        for relation in definition.relations.values():
            has_entry, is_loop = _entry(model, definition.name, relation, relation.rewrite, frozenset())
            if not has_entry:
                why = "potential loop" if is_loop else "no entrypoint"
                message = f"`{relation.name}` is an impossible relation for `{definition.name}` ({why})."
                yield Fault(FaultType.NO_ENTRY_POINT, message, relation.place, relation.name)


_Seen = frozenset[tuple[str, str]]


def _entry(model: Model, type_name: str, relation: Relation, rewrite: Rewrite, seen: _Seen) -> tuple[bool, bool]:
    """Whether anybody can come to have the relation; if not, whether it only leads back to itself."""
    here = seen | {(type_name, relation.name)}
    match rewrite:
        case This():
            return _entry_by_tuples(model, relation, here), False
        case Computed(name):
            other = model.relation(type_name, name)
            if other is None or (type_name, name) in here:
                return False, other is not None
            return _entry(model, type_name, other, other.rewrite, here)
        case FromTupleset(name, tupleset):
            parents = model.relation(type_name, tupleset)
            types = [restriction.type for restriction in parents.restrictions] if parents else []
            return any(_entry_of(model, parent, name, here) for parent in types), False
        case Union(operands):
            found = [_entry(model, type_name, relation, operand, seen) for operand in operands]
            has_entry = any(entry for entry, _ in found)
            return has_entry, not has_entry and any(loop for _, loop in found)
        case Intersection(operands):
            return _entry_of_all(model, type_name, relation, operands, seen)
        case Exclusion(base, subtract):
            return _entry_of_all(model, type_name, relation, (base, subtract), seen)


def _entry_by_tuples(model: Model, relation: Relation, seen: _Seen) -> bool:
    return any(
        not restriction.relation or _entry_of(model, restriction.type, restriction.relation, seen)
        for restriction in relation.restrictions
    )


def _entry_of(model: Model, type_name: str, name: str, seen: _Seen) -> bool:
    other = model.relation(type_name, name)
    if other is None or (type_name, name) in seen:
        return False
    return _entry(model, type_name, other, other.rewrite, seen)[0]


def _entry_of_all(
    model: Model, type_name: str, relation: Relation, operands: tuple[Rewrite, ...], seen: _Seen
) -> tuple[bool, bool]:
    for operand in operands:
        has_entry, is_loop = _entry(model, type_name, relation, operand, seen)
        if not has_entry:
            return False, is_loop
    return True, False


# circles


def _circles(model: Model) -> Iterator[Fault]:
    """Relations that are made of themselves without a tuple in between: OpenFGA's server refuses them."""
    for definition in model.types.values():
        for relation in definition.relations.values():
            if _is_circular(definition, relation, frozenset()):
                message = f"`{relation.name}` of `{definition.name}` is made of itself: a model cannot contain a cycle."
                yield Fault(FaultType.CYCLE, message, relation.place, relation.name)


def _is_circular(definition: TypeDefinition, relation: Relation, above: frozenset[str]) -> bool:
    names = {leaf.relation for leaf in leaves(relation.rewrite) if isinstance(leaf, Computed)}
    here = above | {relation.name}
    return bool(names & here) or any(_is_circular(definition, definition.relations[name], here) for name in names)


def _unused_conditions(model: Model) -> Iterator[Fault]:
    used = {
        restriction.condition
        for definition in model.types.values()
        for relation in definition.relations.values()
        for restriction in relation.restrictions
    }
    for condition in model.conditions.values():
        if condition.name not in used:
            message = f"`{condition.name}` condition is not used in the model."
            yield Fault(FaultType.CONDITION_NOT_USED, message, condition.place, condition.name)
