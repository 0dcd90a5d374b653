"""Who sells: everyone signed in sees with whom they deal; staff set it up."""

from __future__ import annotations

from typing import ClassVar

from rest_framework import serializers

from billing.models import BillingEntity
from billing.services import billing_entities
from core.api.fields import CurrencyField, PublicIdField
from core.api.filters import EntityFilterSet
from core.api.requests import Request
from core.api.serializers import EntitySerializer, InputSerializer
from core.api.viewsets import EntityViewSet, operation


class BillingEntitySerializer(EntitySerializer):
    """A legal person that issues invoices."""

    id = PublicIdField(BillingEntity, read_only=True)
    default_currency = CurrencyField(read_only=True)

    class Meta:
        model = BillingEntity
        fields: ClassVar = [
            "id",
            "legal_name",
            "country",
            "default_currency",
            "invoice_prefix",
            "created_at",
            "updated_at",
        ]


class BillingEntityInput(InputSerializer):
    legal_name = serializers.CharField(max_length=200)
    country = serializers.RegexField(r"^[A-Z]{2}\Z", help_text="ISO 3166-1 alpha-2.")
    default_currency = CurrencyField()
    invoice_prefix = serializers.RegexField(
        r"^[A-Z0-9\-]{1,12}\Z", help_text="Begins each of its invoice numbers: one to twelve capitals, digits, hyphens."
    )


class BillingEntityFilters(EntityFilterSet):
    class Meta:
        model = BillingEntity
        fields: list[str] = []


class BillingEntityViewSet(EntityViewSet):
    tag = "billing entities"
    queryset = BillingEntity.objects.all()
    serializer_class = BillingEntitySerializer
    filterset_class = BillingEntityFilters
    is_bounded = False

    @operation(
        request=BillingEntityInput, response=BillingEntitySerializer, status=201, summary="Set up who sells (staff)"
    )
    def create(self, request: Request) -> BillingEntity:
        return billing_entities.create(actor=request.actor, **self.input())
