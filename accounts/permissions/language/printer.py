"""From a model to its text, in OpenFGA's own layout: what is read again is equal."""

from __future__ import annotations

from accounts.permissions.language.model import (
    Condition,
    Exclusion,
    Intersection,
    Model,
    Relation,
    Rewrite,
    This,
    TypeDefinition,
    Union,
    children,
)

_OPERATORS: dict[type[Rewrite], str] = {Union: " or ", Intersection: " and ", Exclusion: " but not "}


def to_dsl(model: Model) -> str:
    """Return the text of a model. Raises ValueError for what the language cannot say though JSON can: a list of types
    that is not the first operand."""
    parts = [f"model\n  schema {model.schema_version}", *map(_type, model.types.values())]
    parts += [condition_to_dsl(model.conditions[name]) for name in sorted(model.conditions)]
    return "\n\n".join(parts) + "\n"


def _type(definition: TypeDefinition) -> str:
    lines = [f"type {definition.name}"]
    if definition.relations:
        lines.append("  relations")
        lines += [
            f"    define {relation.name}: {relation_to_dsl(relation)}" for relation in definition.relations.values()
        ]
    return "\n".join(lines)


def relation_to_dsl(relation: Relation) -> str:
    """Return what stands behind `define name:`. Raises ValueError as `to_dsl` does."""
    return _text(relation.rewrite, relation, is_first=True, is_outer=True)


def _text(rewrite: Rewrite, relation: Relation, *, is_first: bool, is_outer: bool) -> str:
    if isinstance(rewrite, This):
        if not is_first:
            raise ValueError(f"In '{relation.name}' a list of types is not the first operand: only JSON can say this.")
        return f"[{', '.join(map(str, relation.restrictions))}]"
    word = _OPERATORS.get(type(rewrite))
    if word is None:
        return str(rewrite)
    inner = word.join(
        _text(operand, relation, is_first=is_first and number == 0, is_outer=False)
        for number, operand in enumerate(children(rewrite))
    )
    return inner if is_outer else f"({inner})"


def condition_to_dsl(condition: Condition) -> str:
    """Return a condition as it stands in a model."""
    parameters = ", ".join(f"{name}: {condition.parameters[name]}" for name in sorted(condition.parameters))
    return f"condition {condition.name}({parameters}) {{\n  {condition.expression}\n}}"
