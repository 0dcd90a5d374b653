"""What a model defines, by name; what it does not define is refused with the names that it does."""

from __future__ import annotations

from typing import Final, TypeAlias

from accounts.permissions.faults import Code, Refused
from accounts.permissions.language.model import Model, Relation, TypeDefinition

Codes: TypeAlias = tuple[Code, Code]  # of a type that there is not, of a relation that there is not

INVALID: Final = (Code.VALIDATION, Code.VALIDATION)
NOT_FOUND: Final = (Code.TYPE_NOT_FOUND, Code.RELATION_NOT_FOUND)


def find_type(model: Model, name: str, code: Code, *, member: str = "") -> TypeDefinition:
    """Return a type. Raises Refused with `code` when the model has none of this name; `member` named it."""
    found = model.types.get(name)
    if found is None:
        raise Refused(code, f"There is no type '{name:.300}'.", tuple(model.types), member=member)
    return found


def find_relation(
    model: Model, object_type: str, name: str, codes: Codes, *, of: str = "", member: str = ""
) -> Relation:
    """Return a relation of a type. Raises Refused with one of `codes` when the model has no such type (the member `of`
    named it) or the type no such relation (`member` named it)."""
    relations = find_type(model, object_type, codes[0], member=of).relations
    if name not in relations:
        message = f"There is no relation '{name:.300}' of '{object_type}'."
        raise Refused(codes[1], message, tuple(relations), member=member)
    return relations[name]
