"""Serializers whose output is compiled once.

REST framework walks its field objects for every row. An `EntitySerializer` declares fields just so (the schema is made
from them) and turns them, once for each class, into a plain list of getters: a page of twenty costs a tenth.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar, cast

from django.core.exceptions import ObjectDoesNotExist
from rest_framework import serializers

from core import ids
from core.api.fields import PublicIdField, PublicIdRelatedField
from core.api.replies import moment

Getter = Callable[[Any], Any]

# These are written as they are: the value of the attribute is JSON already.
_AS_IS = (serializers.CharField, serializers.IntegerField, serializers.BooleanField, serializers.ChoiceField)


class EntitySerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    """Writes a row. Its instance for output is shared between requests: what depends on who asks is annotated by the
    query, never read from a request here."""

    _compiled: ClassVar[Callable[[Any], dict[str, Any]] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._compiled = None

    @classmethod
    def represent(cls, row: Any) -> dict[str, Any]:
        """Return the JSON-ready form of `row`."""
        return (cls._compiled or cls._compile())(row)

    @classmethod
    def represent_all(cls, rows: Any) -> list[dict[str, Any]]:
        """Return the JSON-ready form of each row."""
        write = cls._compiled or cls._compile()
        return [write(row) for row in rows]

    @classmethod
    def _compile(cls) -> Callable[[Any], dict[str, Any]]:
        cls._compiled = compiled(cls())
        return cls._compiled

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return type(self).represent(instance)


class InputSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """What a command takes. Unknown members and values of another JSON type are refused by `APIView.input`."""


def compiled(serializer: serializers.Serializer[Any]) -> Callable[[Any], dict[str, Any]]:
    """Return a function that writes a row as `serializer.to_representation` would."""
    getters = [(str(field.field_name), _getter(field)) for field in serializer._readable_fields]

    def write(row: Any) -> dict[str, Any]:
        return {name: get(row) for name, get in getters}

    return write


def _getter(field: Any) -> Getter:
    if isinstance(field, serializers.SerializerMethodField):
        return getattr(field.parent, field.method_name)
    if field.source == "*" or type(field).get_attribute not in _STANDARD:
        return _slow(field)
    path = field.source
    if isinstance(field, PublicIdRelatedField):
        # The foreign key's own column: no query for the row it names.
        return _converted(_key_of(path), _encoder(field.prefix))
    get = _safe(attrgetter(path)) if "." in path else attrgetter(path)
    if isinstance(field, PublicIdField):
        return _converted(get, _encoder(field.prefix))
    if isinstance(field, serializers.DateTimeField):
        return _converted(get, moment)
    if isinstance(field, serializers.ListSerializer):
        write = compiled(cast("serializers.Serializer[Any]", field.child))
        return lambda row: [write(inner) for inner in _rows(get(row))]
    if isinstance(field, serializers.Serializer):
        return _converted(get, compiled(field))
    is_plain = any(type(field).to_representation is kind.to_representation for kind in _AS_IS)
    if is_plain and not isinstance(field, serializers.UUIDField):
        return get
    return _converted(get, field.to_representation)


_STANDARD = (serializers.Field.get_attribute, serializers.RelatedField.get_attribute)


def _encoder(prefix: str) -> Getter:
    def encode(key: Any) -> str:
        return ids.encode(prefix, getattr(key, "pk", key))

    return encode


def _slow(field: Any) -> Getter:
    def get(row: Any) -> Any:
        value = field.get_attribute(row)
        return None if value is None else field.to_representation(value)

    return get


def _converted(get: Getter, convert: Getter) -> Getter:
    def run(row: Any) -> Any:
        value = get(row)
        return None if value is None else convert(value)

    return run


def _safe(get: Getter) -> Getter:
    """A path through a missing relation reads as null."""

    def run(row: Any) -> Any:
        try:
            return get(row)
        except (AttributeError, ObjectDoesNotExist):
            return None

    return run


def _key_of(path: str) -> Getter:
    *parents, name = path.split(".")

    def get(row: Any) -> Any:
        for parent in parents:
            row = getattr(row, parent)
        key = getattr(row, f"{name}_id", None)
        return key if key is not None else getattr(getattr(row, name), "pk", None)

    return get


def _rows(value: Any) -> Any:
    return value.all() if hasattr(value, "all") else value or ()
