"""Filters of lists: declared with django-filter, strict about what they do not know."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django.http import QueryDict
from django_filters.rest_framework import DjangoFilterBackend

from core import ids
from core.api.fields import _prefix
from core.errors import FieldFault, InvalidInput
from core.models import Entity

UNKNOWN = "unknown_parameter"


def refuse_unknown(query: QueryDict, known: Iterable[str]) -> None:
    """Raise `InvalidInput` with a pointer `?name` for each parameter that is not `known`, is empty or holds NUL."""
    known = set(known)
    faults = []
    for name, values in query.lists():
        if name not in known:
            faults.append(FieldFault(f"?{name}", UNKNOWN, f"There is no parameter '{name}' here."))
        elif any("\x00" in value for value in values):
            faults.append(FieldFault(f"?{name}", "unstorable_character", "NUL cannot be part of a value."))
        elif not all(values):
            faults.append(FieldFault(f"?{name}", "blank", "Leave the parameter out or give it a value."))
    if faults:
        raise InvalidInput("A query parameter is not valid.", faults=faults)


class PublicIdFormField(forms.CharField):
    def __init__(self, *, prefix: str, **kwargs: Any) -> None:
        self.prefix = prefix
        super().__init__(**kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return ids.decode(self.prefix, text)
        except ids.MalformedId:
            raise forms.ValidationError(
                f"This is not an id of the form '{self.prefix}_…'.", code="malformed_id"
            ) from None


class PublicIdFilter(django_filters.Filter):
    """By the public id of a related row: `customer = PublicIdFilter(Customer, field_name="customer_id")`."""

    field_class = PublicIdFormField

    def __init__(self, kind: str | type[Entity], *args: Any, **kwargs: Any) -> None:
        self.prefix = _prefix(kind)
        super().__init__(*args, prefix=self.prefix, **kwargs)


class _BooleanField(forms.Field):
    def clean(self, value: Any) -> bool | None:
        if value in (None, ""):
            return None
        if value not in ("true", "false"):
            raise forms.ValidationError("Expected true or false.", code="not_a_boolean")
        return value == "true"


class BooleanFilter(django_filters.BooleanFilter):
    """`true` or `false`; django-filter's own one ignores whatever else is sent."""

    field_class = _BooleanField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.TextInput)
        super().__init__(*args, **kwargs)


class EntityFilterSet(django_filters.FilterSet):
    """What every list can be filtered by. Derive it, add filters, name the model in Meta (`fields = []`)."""

    created_after = django_filters.IsoDateTimeFilter(
        field_name="created_at", lookup_expr="gte", label="Made at this moment or later (ISO 8601)."
    )
    created_before = django_filters.IsoDateTimeFilter(
        field_name="created_at", lookup_expr="lt", label="Made before this moment (ISO 8601)."
    )


def filtered(filterset_class: type[django_filters.FilterSet], query: QueryDict, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows that match. Raises `InvalidInput` with pointers `?name`."""
    # A form for each request is slow; most lists are asked for without any filter.
    if not any(name in filterset_class.base_filters for name in query):
        return rows
    filters = filterset_class(query, queryset=rows)
    if not filters.is_valid():
        raise InvalidInput(
            "A query parameter is not valid.",
            faults=[
                FieldFault(f"?{name}", fault.code or "invalid", str(message))
                for name, errors in filters.errors.as_data().items()
                for fault in errors
                for message in fault.messages
            ],
        )
    _normalise_moments(filters.form.cleaned_data)
    return filters.qs


def _normalise_moments(values: dict[str, Any]) -> None:
    """PostgreSQL refuses offsets that ISO 8601 allows; UTC it always takes."""
    for name, value in values.items():
        if isinstance(value, datetime):
            try:
                values[name] = value.astimezone(UTC)
            except OverflowError:
                raise InvalidInput.at(f"?{name}", "This moment lies beyond the years 1 to 9999.") from None


class FilterBackend(DjangoFilterBackend):
    """Describes the filters in the schema; `EntityViewSet.list` applies them by `filtered`."""
