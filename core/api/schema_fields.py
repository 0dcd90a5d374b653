"""How our own fields and filters are described."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension

from core.api.fields import id_pattern
from core.money import currencies
from core.time_zones import names

_SUFFIX_EXAMPLE = "01h455vb4pex5vsknk084sn02q"


def id_schema(prefix: str) -> dict[str, Any]:
    """Return the schema of a public id."""
    return {"type": "string", "pattern": id_pattern(prefix), "example": f"{prefix}_{_SUFFIX_EXAMPLE}"}


class PublicIdFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "core.api.fields.PublicIdField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return id_schema(self.target.prefix)


class PublicIdRelatedFieldExtension(PublicIdFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "core.api.fields.PublicIdRelatedField"


class MinorFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "core.api.fields.MinorField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        bounds = {"minimum": self.target.min_value, "maximum": self.target.max_value}
        found = {name: value for name, value in bounds.items() if value is not None}
        return {"type": "integer", "format": "int64", **found}


class CurrencyFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "core.api.fields.CurrencyField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"$ref": "#/components/schemas/Currency"}


class TimeZoneFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "core.api.fields.TimeZoneField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"$ref": "#/components/schemas/TimeZone"}


def shared() -> dict[str, Any]:
    """Return the lists of values that many fields share, each once."""
    return {
        "Currency": {"type": "string", "description": "An ISO 4217 code.", "enum": currencies(), "example": "USD"},
        "TimeZone": {"type": "string", "description": "An IANA name.", "enum": sorted(names()), "example": "UTC"},
    }
