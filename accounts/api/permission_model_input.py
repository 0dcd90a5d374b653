"""Permission models as requests hold them: OpenFGA's language, its JSON, or modules."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.permissions.language import Fault, Faulty, Model, combine, from_json, parse
from accounts.permissions.language.faults import FaultType
from accounts.permissions.models import PermissionModel
from core.api.fields import PublicIdField
from core.api.serializers import InputSerializer
from core.errors import InvalidInput

_LONGEST: Final = 1024 * 1024  # characters: four times what OpenFGA takes
_MOST_MODULES: Final = 100


@extend_schema_field({"type": "object", "additionalProperties": {}})
class DocumentField(serializers.JSONField):
    """A model as JSON, as it came; the language's own reader says what is wrong with it."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Expected a JSON object.", code="not_an_object")
        return data


def _text(**options: Any) -> serializers.CharField:
    """Text of the language, exactly as it was written: faults are told by line and column."""
    return serializers.CharField(trim_whitespace=False, allow_blank=True, **options)


class ModelInput(InputSerializer):
    """One of the three."""

    text = _text(required=False, help_text="OpenFGA's language.")
    document = DocumentField(required=False, help_text="OpenFGA's JSON: `schema_version`, `type_definitions`, …")
    modules = serializers.DictField(
        child=_text(), required=False, help_text="File name to text, of a modular model (schema 1.2)."
    )


class NamedModelInput(ModelInput):
    """A model that is kept, or one of the three ways to bring one along."""

    model_id = PublicIdField(PermissionModel.id_prefix, required=False)


def read_model(data: Mapping[str, Any], pointer: str = "") -> tuple[Model, str]:
    """Return the model in the body and the pointer to it. Raises Faulty for what cannot be read, `InvalidInput` when
    there is none or more than one."""
    given = [name for name in _READERS if name in data]
    if len(given) != 1:
        choice = "Send one of 'text', 'document' and 'modules'."
        raise InvalidInput.at(pointer or f"/{given[1] if given else 'text'}", choice, "choose_one")
    (name,) = given
    try:
        if _length(data[name]) > _LONGEST:
            raise InvalidInput.at(f"{pointer}/{name}", f"A model has {_LONGEST} characters at most.", "max_length")
        return _READERS[name](data[name]), f"{pointer}/{name}"
    except RecursionError:
        raise Faulty([Fault(FaultType.SYNTAX, "The model is nested too deeply.")]) from None


def _length(given: Any) -> int:
    return len(given if isinstance(given, str) else json.dumps(given))


def _modules(sources: Mapping[str, str]) -> Model:
    if not 1 <= len(sources) <= _MOST_MODULES:
        raise Faulty([Fault(FaultType.SYNTAX, f"A model has 1 to {_MOST_MODULES} modules.")])
    return combine(sources)


_READERS: Final[Mapping[str, Callable[[Any], Model]]] = {"text": parse, "document": from_json, "modules": _modules}
