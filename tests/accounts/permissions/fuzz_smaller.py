"""Smaller cases than one: fewer tuples, types, relations, operands and restrictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from accounts.permissions.language.model import (
    Exclusion,
    Intersection,
    Model,
    Relation,
    Rewrite,
    This,
    TypeDefinition,
    Union,
    children,
    leaves,
)
from tests.accounts.permissions.fuzz_cases import Case


def smaller(case: Case) -> Iterator[Case]:
    """The biggest steps first."""
    count = len(case.tuples)
    for size in sorted({count // 2, count // 4, 1} - {0}, reverse=True):
        for start in range(0, count, size):
            yield replace(case, tuples=case.tuples[:start] + case.tuples[start + size :])
    for model in _smaller_models(case.model):
        yield replace(case, model=model)


def _smaller_models(model: Model) -> Iterator[Model]:
    for definition in model.types.values():
        rest = {name: other for name, other in model.types.items() if name != definition.name}
        yield _tidy(replace(model, types=rest))
        for relation in definition.relations.values():
            others = {name: other for name, other in definition.relations.items() if name != relation.name}
            yield _with(model, definition, others)
            for less in _smaller_relations(relation):
                yield _with(model, definition, {**definition.relations, relation.name: less})


def _with(model: Model, definition: TypeDefinition, relations: dict[str, Relation]) -> Model:
    return _tidy(replace(model, types={**model.types, definition.name: replace(definition, relations=relations)}))


def _tidy(model: Model) -> Model:
    used = {
        restriction.condition
        for definition in model.types.values()
        for relation in definition.relations.values()
        for restriction in relation.restrictions
    }
    return replace(model, conditions={name: one for name, one in model.conditions.items() if name in used})


def _smaller_relations(relation: Relation) -> Iterator[Relation]:
    for rewrite in _smaller_rewrites(relation.rewrite):
        is_direct = any(isinstance(leaf, This) for leaf in leaves(rewrite))
        yield replace(relation, rewrite=rewrite, restrictions=relation.restrictions if is_direct else ())
    if len(relation.restrictions) > 1:
        for one in relation.restrictions:
            yield replace(relation, restrictions=tuple(other for other in relation.restrictions if other != one))


def _smaller_rewrites(rewrite: Rewrite) -> Iterator[Rewrite]:
    operands = children(rewrite)
    yield from operands
    for number, operand in enumerate(operands):
        for less in _smaller_rewrites(operand):
            yield _rebuilt(rewrite, (*operands[:number], less, *operands[number + 1 :]))
        if len(operands) > 2:
            yield _rebuilt(rewrite, (*operands[:number], *operands[number + 1 :]))


def _rebuilt(rewrite: Rewrite, operands: Iterable[Rewrite]) -> Rewrite:
    parts = tuple(operands)
    if isinstance(rewrite, Exclusion):
        return Exclusion(*parts)
    return Intersection(parts) if isinstance(rewrite, Intersection) else Union(parts)
