"""Products and prices as the API shows and takes them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers

from billing.models import Interval, Price, Product
from billing.selectors import catalog
from core.actor import ANONYMOUS
from core.api.fields import CurrencyField, MinorField, PublicIdField, PublicIdRelatedField
from core.api.serializers import EntitySerializer, InputSerializer


class CatalogField(PublicIdRelatedField):
    """The public id of a product or price that whoever asks finds in the catalogue."""

    def __init__(self, queryset: Any = None, **kwargs: Any) -> None:
        super().__init__(queryset, is_bounded=False, **kwargs)

    def get_queryset(self) -> QuerySet[Any]:
        actor = getattr(self.context.get("request"), "actor", ANONYMOUS)
        return catalog.prices(actor) if self.model is Price else catalog.products(actor)


class ProductSerializer(EntitySerializer):
    id = PublicIdField(Product, read_only=True)

    class Meta:
        model = Product
        fields: ClassVar = ["id", "name", "description", "is_active", "created_at", "updated_at"]


class ProductInput(InputSerializer):
    name = serializers.CharField(max_length=200)
    description = serializers.CharField(max_length=5000, allow_blank=True, default="")
    is_active = serializers.BooleanField(default=True)


class ProductChange(InputSerializer):
    name = serializers.CharField(max_length=200, required=False)
    description = serializers.CharField(max_length=5000, allow_blank=True, required=False)
    is_active = serializers.BooleanField(required=False)


class PriceSerializer(EntitySerializer):
    id = PublicIdField(Price, read_only=True)
    product_id = PublicIdField(Product, read_only=True)

    class Meta:
        model = Price
        fields: ClassVar = [
            "id",
            "product_id",
            "amount_minor",
            "currency",
            "interval",
            "interval_count",
            "trial_days",
            "is_listed",
            "is_active",
            "lookup_key",
            "created_at",
            "updated_at",
        ]


class PriceInput(InputSerializer):
    product_id = CatalogField(Product.objects.all(), source="product")
    amount_minor = MinorField(help_text="Minor units (cents for USD).")
    currency = CurrencyField()
    interval = serializers.ChoiceField(Interval.choices, default=Interval.MONTH.value)
    interval_count = serializers.IntegerField(min_value=1, max_value=366, default=1)
    trial_days = serializers.IntegerField(min_value=0, max_value=730, default=0)
    is_listed = serializers.BooleanField(default=True)
    lookup_key = serializers.CharField(max_length=200, allow_null=True, default=None)


class PriceChange(InputSerializer):
    """Amount, currency and interval can change only while no subscription uses the price."""

    amount_minor = MinorField(required=False)
    currency = CurrencyField(required=False)
    interval = serializers.ChoiceField(Interval.choices, required=False)
    interval_count = serializers.IntegerField(min_value=1, max_value=366, required=False)
    trial_days = serializers.IntegerField(min_value=0, max_value=730, required=False)
    is_listed = serializers.BooleanField(required=False)
    is_active = serializers.BooleanField(required=False)
    lookup_key = serializers.CharField(max_length=200, allow_null=True, required=False)
