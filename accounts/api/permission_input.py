"""Tuples, contexts and questions as requests hold them, read into what the engine takes.

A request may hold ten thousand tuples: they are looked at here by hand, each fault with its pointer, since a serializer
for each of them would take longer than writing them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from math import isfinite
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.permissions import names, problems, tuples
from accounts.permissions.defined import INVALID, Codes, find_relation, find_type
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import Model
from accounts.permissions.tuples import Object, Tuple
from core.api.problems import escape
from core.api.serializers import InputSerializer
from core.errors import FieldFault, InvalidInput

MAX_NAME: Final = 50  # characters of a relation or a condition, as in OpenFGA
MAX_TEXT: Final = 600  # characters of a subject or an object: more than the longest there can be
_MAX_DEPTH: Final = 20
_MAX_EXACT: Final = 2**53  # the numbers that JSON carries exactly between programs (RFC 8259, section 6)
_TOLD: Final = 100  # faults of one request that are told; there may be thousands


class ConditionInput(InputSerializer):
    """Under what condition of the model the tuple holds."""

    name = serializers.CharField(max_length=MAX_NAME)
    context = serializers.DictField(  # type: ignore[assignment]
        required=False, help_text="Values of its parameters; what is missing comes with the question."
    )


class TupleKeyInput(InputSerializer):
    """`user` has `relation` to `object`."""

    user = serializers.CharField(
        max_length=MAX_TEXT,
        help_text="`type:id`, `type:*` (everybody) or `type:id#relation`; the type may be left out where one fits.",
    )
    relation = serializers.CharField(max_length=MAX_NAME)
    object = serializers.CharField(max_length=MAX_TEXT, help_text="`type:id`.")
    condition = ConditionInput(required=False)


@extend_schema_field(TupleKeyInput)
class TupleKeyField(serializers.JSONField):
    """A tuple as it came; `read_tuples` reads it."""

    def to_internal_value(self, data: Any) -> Any:
        return data


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ContextField(serializers.JSONField):
    """Parameters of conditions: a JSON object of modest depth whose numbers are exact."""

    def to_internal_value(self, data: Any) -> Any:
        faults = [*islice(context_faults(data, ""), 1)]
        if faults:
            raise serializers.ValidationError(faults[0].detail, code=faults[0].code)
        return data


def tuple_list(**options: Any) -> serializers.ListField:
    """A list of tuples in a body."""
    return serializers.ListField(child=TupleKeyField(), **options)


def read_tuples(
    model: Model,
    documents: Sequence[Any],
    pointer: str,
    code: Code,
    check: Callable[[Model, Tuple], None] | None = None,
) -> list[Tuple]:
    """Return the tuples that stand at `pointer`, each found right by `check`. Raises an error with a pointer to every
    fault: `InvalidInput` for what is not of the shape of a tuple, else one of `accounts.permissions.problems`."""
    shape = [*islice(_faults_of_all(documents, pointer), _TOLD)]
    if shape:
        raise InvalidInput("A tuple is not valid.", faults=shape)
    found: list[Tuple] = []
    refusals: list[tuple[str, Refused]] = []
    for number, document in enumerate(documents):
        try:
            one = read_tuple(model, document, code)
            if check is not None:
                check(model, one)
            found.append(one)
        except Refused as refused:
            refusals.append((f"{pointer}/{number}", refused))
            if len(refusals) >= _TOLD:
                break
    if refusals:
        raise problems.problem_of_many(refusals)
    return found


def read_tuple(model: Model, document: Any, code: Code) -> Tuple:
    """Read one tuple; objects of ours may go by their public ids, also without their type. Raises Refused."""
    named = dict(document)
    for member in ("user", "object"):
        if isinstance(named.get(member), str):
            named[member] = names.inward(names.typed(model, named[member]))
    return tuples.read(model, named, code)


def check_question(model: Model, asked: Tuple) -> None:
    """Raise Refused with the member that names what the model does not have: `asked` is a question, for which there
    need not be a tuple."""
    find_relation(model, asked.object.type, asked.relation, INVALID, of="object", member="relation")
    check_kind(model, asked.subject.type, asked.subject.relation, INVALID, member="user")


def check_kind(model: Model, kind: str, relation: str, codes: Codes, *, member: str) -> None:
    """Raise Refused when the model has no such kind of subjects: a type, or with a relation a set of them."""
    if relation:
        find_relation(model, kind, relation, codes, of=member, member=member)
    else:
        find_type(model, kind, codes[0], member=member)


def read_object(model: Model, text: str) -> Object:
    """Read an object of a question. Raises Refused, with the known types for what has none (2000) or another (2021)."""
    text = names.typed(model, text)
    kind = text.partition(":")[0]
    if ":" not in text or not kind:
        message = f"'{text:.300}' is no object: it is written type:id."
        raise Refused(Code.VALIDATION, message, tuple(model.types), member="object")
    find_type(model, kind, Code.TYPE_NOT_FOUND, member="object")
    return Object.parse(names.inward(text))


# the shape of a tuple


def _faults_of_all(documents: Sequence[Any], pointer: str) -> Iterator[FieldFault]:
    for number, document in enumerate(documents):
        yield from tuple_faults(document, f"{pointer}/{number}")


def tuple_faults(document: Any, pointer: str) -> Iterator[FieldFault]:
    """Yield what is not of the shape of a tuple. Whether `user` and `object` name anything the engine says."""
    if not isinstance(document, dict):
        yield FieldFault(pointer, "not_an_object", "A tuple is an object with user, relation and object.")
        return
    for member in document.keys() - {"user", "relation", "object", "condition"}:
        yield FieldFault(f"{pointer}/{escape(member)}", "unknown_field", f"There is no field '{member:.100}' here.")
    for member in ("user", "object"):
        value = document.get(member)
        if value is not None:
            yield from _text_faults(value, f"{pointer}/{member}", MAX_TEXT)
    relation = document.get("relation")
    if relation is None or relation == "":
        yield FieldFault(f"{pointer}/relation", "required", "A tuple needs a relation.")
    else:
        yield from _text_faults(relation, f"{pointer}/relation", MAX_NAME)
    if document.get("condition") is not None:
        yield from _condition_faults(document["condition"], f"{pointer}/condition")


def check_faults(document: Any, pointer: str) -> Iterator[FieldFault]:
    """Yield what is not of the shape of a check: a tuple without a condition."""
    if isinstance(document, dict) and "condition" in document:
        yield FieldFault(f"{pointer}/condition", "unknown_field", "There is no field 'condition' here.")
        document = {member: value for member, value in document.items() if member != "condition"}
    yield from tuple_faults(document, pointer)


def _condition_faults(condition: Any, pointer: str) -> Iterator[FieldFault]:
    if not isinstance(condition, dict):
        yield FieldFault(pointer, "not_an_object", "A condition is an object with name and context.")
        return
    for member in condition.keys() - {"name", "context"}:
        yield FieldFault(f"{pointer}/{escape(member)}", "unknown_field", f"There is no field '{member:.100}' here.")
    if not condition.get("name"):
        yield FieldFault(f"{pointer}/name", "required", "A condition has a name.")
    else:
        yield from _text_faults(condition["name"], f"{pointer}/name", MAX_NAME)
    if condition.get("context") is not None:
        yield from context_faults(condition["context"], f"{pointer}/context")


def _text_faults(value: Any, pointer: str, longest: int) -> Iterator[FieldFault]:
    if not isinstance(value, str):
        yield FieldFault(pointer, "not_a_string", "Expected a string.")
    elif len(value) > longest:
        yield FieldFault(pointer, "max_length", f"Ensure this field has no more than {longest} characters.")


def context_faults(context: Any, pointer: str) -> Iterator[FieldFault]:
    """Yield what cannot be a context: no object, too deep, numbers that not every program reads alike."""
    if not isinstance(context, dict):
        yield FieldFault(pointer, "not_an_object", "A context is an object: parameter to value.")
        return
    waiting: list[tuple[Any, str, int]] = [(context, pointer, 1)]
    while waiting:
        value, place, depth = waiting.pop()
        if isinstance(value, dict | list):
            if depth > _MAX_DEPTH:
                yield FieldFault(place, "too_deep", f"A context is nested {_MAX_DEPTH} deep at most.")
                return
            members = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(inner, f"{place}/{escape(str(name))}", depth + 1) for name, inner in members]
        elif isinstance(value, float) and not isfinite(value):
            yield FieldFault(place, "out_of_range", "The number is too large for any use.")
        elif isinstance(value, int) and abs(value) > _MAX_EXACT:
            yield FieldFault(place, "out_of_range", "Whole numbers beyond 2^53 are not exact in JSON: send a string.")
