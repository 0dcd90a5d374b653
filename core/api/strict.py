"""What REST framework lets through and we do not: unknown members, and JSON of another type than declared.

REST framework was made for forms: it reads "12" as a number, 5 as text and "yes" as true. A client of a typed API is
better served by being told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rest_framework import serializers

from core.api.problems import escape
from core.errors import FieldFault

MAX_INTEGER = 2**63 - 1  # what a bigint of PostgreSQL holds


def faults_of(serializer: serializers.BaseSerializer[Any], data: Any, pointer: str = "") -> Iterator[FieldFault]:
    """Yield a fault for each unknown member and each value of a wrong JSON type, with its pointer."""
    if isinstance(serializer, serializers.ListSerializer):
        yield from _in_list(serializer.child, data, pointer)
        return
    if not isinstance(serializer, serializers.Serializer):
        return
    if not isinstance(data, dict):
        yield FieldFault(pointer, "not_an_object", "Expected a JSON object.")
        return
    fields = {name: field for name, field in serializer.fields.items() if not field.read_only}
    for name, value in data.items():
        inner = f"{pointer}/{escape(name)}"
        if name in fields:
            yield from _value(fields[name], value, inner)
        else:
            yield FieldFault(inner, "unknown_field", f"There is no field '{name}' here.")


def _value(field: serializers.Field[Any, Any, Any, Any], value: Any, pointer: str) -> Iterator[FieldFault]:
    if value is None:
        return  # whether null is allowed REST framework says
    if isinstance(field, serializers.BaseSerializer):
        yield from faults_of(field, value, pointer)
    elif isinstance(field, serializers.ListField):
        yield from _in_list(field.child, value, pointer)
    elif isinstance(field, serializers.DictField):
        if not isinstance(value, dict):
            yield FieldFault(pointer, "not_an_object", "Expected a JSON object.")
        else:
            for name, inner in value.items():
                yield from _value(field.child, inner, f"{pointer}/{escape(name)}")
    elif isinstance(field, serializers.BooleanField):
        if not isinstance(value, bool):
            yield FieldFault(pointer, "not_a_boolean", "Expected true or false.")
    elif isinstance(field, serializers.IntegerField):
        yield from _integer(value, pointer)
    elif isinstance(field, serializers.FloatField):
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield FieldFault(pointer, "not_a_number", "Expected a number.")
    elif isinstance(field, serializers.JSONField):
        return
    elif isinstance(field, serializers.ChoiceField):
        if not isinstance(value, str) and all(isinstance(choice, str) for choice in field.choices):
            yield FieldFault(pointer, "not_a_string", "Expected a string.")
    elif not isinstance(value, str):
        # Everything else travels as text: strings, ids, moments, dates, decimals.
        yield FieldFault(pointer, "not_a_string", "Expected a string.")
    elif isinstance(field, serializers.CharField) and field.max_length is not None and len(value) > field.max_length:
        # Counted as it was sent, as the schema says: REST framework counts what is left after trimming.
        yield FieldFault(pointer, "max_length", f"Ensure this field has no more than {field.max_length} characters.")


def _integer(value: Any, pointer: str) -> Iterator[FieldFault]:
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not is_whole:
        yield FieldFault(pointer, "not_an_integer", "Expected a whole number.")
    elif abs(value) > MAX_INTEGER:
        yield FieldFault(pointer, "out_of_range", "Expected a number of at most 64 bits.")


def _in_list(child: Any, data: Any, pointer: str) -> Iterator[FieldFault]:
    if not isinstance(data, list):
        yield FieldFault(pointer, "not_a_list", "Expected a JSON array.")
        return
    for index, value in enumerate(data):
        yield from _value(child, value, f"{pointer}/{index}")
