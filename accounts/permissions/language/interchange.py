"""Models as OpenFGA's JSON, the shape of its API's `AuthorizationModel` (openfga/api, authzmodel.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.permissions.language.faults import Fault, FaultType, Faulty
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
    leaves,
)

_PREFIX = "TYPE_NAME_"


def to_json(model: Model) -> dict[str, Any]:
    """Return the model as JSON-ready data; `from_json` gives an equal model back."""
    document: dict[str, Any] = {
        "schema_version": model.schema_version,
        "type_definitions": [_type_to_json(definition) for definition in model.types.values()],
    }
    if model.conditions:
        document["conditions"] = {name: _condition_to_json(found) for name, found in model.conditions.items()}
    return document


def from_json(document: Any) -> Model:
    """Read OpenFGA's JSON (names in snake_case or camelCase). Raises Faulty naming the JSON Pointer (RFC 6901) of what
    is not of its shape."""
    root = _Reader(document, "")
    types: dict[str, TypeDefinition] = {}
    repeated: list[TypeDefinition | Condition] = []
    for item in root.items("type_definitions"):
        definition = _type(item)
        if types.setdefault(definition.name, definition) is not definition:
            repeated.append(definition)
    conditions = {name: _condition(name, item) for name, item in root.members("conditions")}
    return Model(root.text("schema_version"), types, conditions, tuple(repeated))


# to JSON


def _type_to_json(definition: TypeDefinition) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if definition.relations:
        metadata["relations"] = {name: _relation_metadata(found) for name, found in definition.relations.items()}
    if definition.module:
        metadata["module"] = definition.module
    relations = {name: rewrite_to_json(found.rewrite) for name, found in definition.relations.items()}
    return {"type": definition.name, "relations": relations, "metadata": metadata or None}


def _relation_metadata(relation: Relation) -> dict[str, Any]:
    found: dict[str, Any] = {"directly_related_user_types": [_restriction_to_json(r) for r in relation.restrictions]}
    return found | {"module": relation.module} if relation.module else found


def _restriction_to_json(restriction: Restriction) -> dict[str, Any]:
    found: dict[str, Any] = {"type": restriction.type}
    if restriction.relation:
        found["relation"] = restriction.relation
    if restriction.is_wildcard:
        found["wildcard"] = {}
    return found | {"condition": restriction.condition} if restriction.condition else found


def rewrite_to_json(rewrite: Rewrite) -> dict[str, Any]:
    """Return what a relation is made of, as OpenFGA's JSON writes it."""
    match rewrite:
        case This():
            return {"this": {}}
        case Computed(relation):
            return {"computedUserset": {"relation": relation}}
        case FromTupleset(relation, tupleset):
            return {"tupleToUserset": {"computedUserset": {"relation": relation}, "tupleset": {"relation": tupleset}}}
        case Union(children):
            return {"union": {"child": [rewrite_to_json(child) for child in children]}}
        case Intersection(children):
            return {"intersection": {"child": [rewrite_to_json(child) for child in children]}}
        case Exclusion(base, subtract):
            return {"difference": {"base": rewrite_to_json(base), "subtract": rewrite_to_json(subtract)}}


def _condition_to_json(condition: Condition) -> dict[str, Any]:
    parameters = {name: _parameter_to_json(kind) for name, kind in condition.parameters.items()}
    found: dict[str, Any] = {"name": condition.name, "expression": condition.expression, "parameters": parameters}
    return found | {"metadata": {"module": condition.module}} if condition.module else found


def _parameter_to_json(kind: ParameterType) -> dict[str, Any]:
    found: dict[str, Any] = {"type_name": _PREFIX + kind.name.upper()}
    return found | {"generic_types": [_parameter_to_json(inner) for inner in kind.of]} if kind.of else found


# from JSON


class _Reader:
    """A value of the document and the pointer to it."""

    def __init__(self, value: Any, pointer: str) -> None:
        if not isinstance(value, Mapping):
            raise _wrong(pointer, "must be an object")
        self._value = value
        self.pointer = pointer

    def get(self, name: str) -> Any:
        """A member by its snake_case name, or as protobuf's JSON spells it."""
        head, *rest = name.split("_")
        return self._value.get(name, self._value.get(head + "".join(part.title() for part in rest)))

    def text(self, name: str, *, is_required: bool = True) -> str:
        value = self.get(name)
        if value is None and not is_required:
            return ""
        if not isinstance(value, str) or (is_required and not value):
            raise _wrong(f"{self.pointer}/{name}", "must be a text that is not empty")
        return value

    def child(self, name: str) -> _Reader | None:
        value = self.get(name)
        return None if value is None else _Reader(value, f"{self.pointer}/{name}")

    def items(self, name: str) -> list[_Reader]:
        value = self.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise _wrong(f"{self.pointer}/{name}", "must be a list")
        return [_Reader(item, f"{self.pointer}/{name}/{number}") for number, item in enumerate(value)]

    def members(self, name: str) -> list[tuple[str, _Reader]]:
        inner = self.child(name)
        if inner is None:
            return []
        return [(key, _Reader(value, f"{inner.pointer}/{key}")) for key, value in inner._value.items()]


def _wrong(pointer: str, message: str) -> Faulty:
    return Faulty([Fault(FaultType.SYNTAX, f"{pointer or '/'} {message}.", symbol=pointer)])


def _type(item: _Reader) -> TypeDefinition:
    metadata = item.child("metadata")
    described = dict(metadata.members("relations")) if metadata is not None else {}
    relations = {}
    for name, rewrite in item.members("relations"):
        about = described.get(name)
        restrictions = tuple(map(_restriction, about.items("directly_related_user_types"))) if about else ()
        module = about.text("module", is_required=False) if about else ""
        found = _rewrite(rewrite)
        # Restrictions without a `this` mean nothing; OpenFGA drops them too.
        is_assignable = any(isinstance(leaf, This) for leaf in leaves(found))
        relations[name] = Relation(name, found, restrictions if is_assignable else (), module=module)
    module = metadata.text("module", is_required=False) if metadata is not None else ""
    return TypeDefinition(item.text("type"), relations, module=module)


def _restriction(item: _Reader) -> Restriction:
    return Restriction(
        item.text("type"),
        item.text("relation", is_required=False),
        item.get("wildcard") is not None,
        item.text("condition", is_required=False),
    )


def _rewrite(item: _Reader) -> Rewrite:
    if item.get("this") is not None:
        return This()
    if (computed := item.child("computed_userset")) is not None:
        return Computed(computed.text("relation"))
    if (tupled := item.child("tuple_to_userset")) is not None:
        target, tupleset = tupled.child("computed_userset"), tupled.child("tupleset")
        if target is None or tupleset is None:
            raise _wrong(tupled.pointer, "needs computed_userset and tupleset")
        return FromTupleset(target.text("relation"), tupleset.text("relation"))
    for name, operator in (("union", Union), ("intersection", Intersection)):
        if (several := item.child(name)) is not None:
            children = tuple(map(_rewrite, several.items("child")))
            if not children:
                raise _wrong(f"{several.pointer}/child", "must not be empty")
            return operator(children)
    if (difference := item.child("difference")) is not None:
        base, subtract = difference.child("base"), difference.child("subtract")
        if base is None or subtract is None:
            raise _wrong(difference.pointer, "needs base and subtract")
        return Exclusion(_rewrite(base), _rewrite(subtract))
    raise _wrong(
        item.pointer,
        "must be one of this, computed_userset, tuple_to_userset, union, intersection, difference",
    )


def _condition(name: str, item: _Reader) -> Condition:
    inner = item.text("name", is_required=False) or name
    if inner != name:
        message = f"The condition '{inner}' stands under another name, '{name}'."
        raise Faulty([Fault(FaultType.CONDITION_NAME_DIFFERS, message, symbol=item.pointer)])
    parameters = {key: _parameter(value) for key, value in item.members("parameters")}
    metadata = item.child("metadata")
    module = metadata.text("module", is_required=False) if metadata is not None else ""
    return Condition(name, parameters, item.text("expression"), module=module)


def _parameter(item: _Reader) -> ParameterType:
    return ParameterType(
        item.text("type_name").removeprefix(_PREFIX).lower(), tuple(map(_parameter, item.items("generic_types")))
    )
