"""Fields of the API: public ids, minor units, currencies."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.db.models import Manager, Model, QuerySet
from rest_framework import serializers

from core import ids
from core.access import visible
from core.actor import ANONYMOUS
from core.models import Entity
from core.money import LARGEST_MINOR, is_currency
from core.time_zones import is_time_zone

ID_SUFFIX = "[0-7][0-9a-hjkmnp-tv-z]{25}"


def id_pattern(prefix: str) -> str:
    """Return the regular expression of a public id with `prefix`."""
    return f"^{prefix}_{ID_SUFFIX}$"


def _prefix(kind: str | type[Entity]) -> str:
    return kind if isinstance(kind, str) else kind.id_prefix


class PublicIdField(serializers.Field):  # type: ignore[type-arg]
    """A public id ("sub_…") of a kind given by its model or its prefix; inside it is a UUID.

    `id = PublicIdField(Subscription)` for the row itself, `customer_id = PublicIdField(Customer)` for another.
    """

    default_error_messages = {"invalid": "This is not an id of the form '{prefix}_…'."}

    def __init__(self, kind: str | type[Entity], **kwargs: Any) -> None:
        self.kind, self.prefix = kind, _prefix(kind)
        super().__init__(**kwargs)

    def to_representation(self, value: UUID | Entity) -> str:
        return ids.encode(self.prefix, value.pk if isinstance(value, Model) else value)

    def to_internal_value(self, data: Any) -> UUID:
        try:
            return ids.decode(self.prefix, data)
        except (ids.MalformedId, TypeError):
            self.fail("invalid", prefix=self.prefix)
            raise


class PublicIdRelatedField(serializers.RelatedField):  # type: ignore[type-arg]
    """A public id that names a row which whoever asks may see; validated data hold the row.

    `customer_id = PublicIdRelatedField(Customer.objects.all(), source="customer")`. With `is_bounded=False` every row
    may be named (catalogue rows, which belong to nobody).
    """

    default_error_messages = {
        "invalid": "This is not an id of the form '{prefix}_…'.",
        "does_not_exist": "There is no such {name}, or you may not see it.",
    }

    def __init__(self, queryset: Any = None, *, is_bounded: bool = True, **kwargs: Any) -> None:
        self.is_bounded = is_bounded
        if isinstance(queryset, Manager):
            queryset = queryset.all()
        super().__init__(queryset=queryset, **kwargs)

    @property
    def model(self) -> type[Entity]:
        return cast("Any", self).queryset.model

    @property
    def prefix(self) -> str:
        return self.model.id_prefix

    def use_pk_only_optimization(self) -> bool:
        return True

    def to_representation(self, value: Any) -> str:
        return ids.encode(self.prefix, value.pk)

    def to_internal_value(self, data: Any) -> Entity:
        try:
            key = ids.decode(self.prefix, data)
        except (ids.MalformedId, TypeError):
            self.fail("invalid", prefix=self.prefix)
        rows = cast("QuerySet[Entity]", self.get_queryset())
        if self.is_bounded:
            rows = visible(getattr(self.context.get("request"), "actor", ANONYMOUS), rows)
        try:
            return rows.get(pk=key)
        except self.model.DoesNotExist:
            self.fail("does_not_exist", name=self.model._meta.verbose_name)
            raise


class MinorField(serializers.IntegerField):
    """An amount in minor units of its currency (cents for USD): a whole number, never negative unless `min_value` says
    so."""

    def __init__(self, **kwargs: Any) -> None:
        if not kwargs.get("read_only"):
            kwargs.setdefault("min_value", 0)
            kwargs.setdefault("max_value", LARGEST_MINOR)
        super().__init__(**kwargs)


class CurrencyField(serializers.CharField):
    """An ISO 4217 code in capitals ("USD")."""

    default_error_messages = {"invalid_currency": "This is not an ISO 4217 currency code such as USD."}

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not is_currency(value):
            self.fail("invalid_currency")
        return value


class TimeZoneField(serializers.CharField):
    """An IANA time zone ("Europe/Berlin")."""

    default_error_messages = {"unknown_time_zone": "This is not an IANA time zone such as Europe/Berlin."}

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not is_time_zone(value):
            self.fail("unknown_time_zone")
        return value
