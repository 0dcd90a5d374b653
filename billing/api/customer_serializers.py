"""Customers and payment methods as the API shows and takes them."""

from __future__ import annotations

from typing import ClassVar

from rest_framework import serializers

from accounts.models import Organization
from billing.models import BillingEntity, Customer, PaymentMethod, PaymentMethodKind
from core.api.fields import CurrencyField, PublicIdField, PublicIdRelatedField, TimeZoneField
from core.api.serializers import EntitySerializer, InputSerializer


class CustomerSerializer(EntitySerializer):
    id = PublicIdField(Customer, read_only=True)
    organization_id = PublicIdField(Organization, read_only=True, allow_null=True)
    billing_entity_id = PublicIdField(BillingEntity, read_only=True)
    default_payment_method_id = PublicIdField(PaymentMethod, read_only=True, allow_null=True)

    class Meta:
        model = Customer
        fields: ClassVar = [
            "id",
            "organization_id",
            "billing_entity_id",
            "name",
            "email",
            "currency",
            "time_zone",
            "source",
            "external_id",
            "default_payment_method_id",
            "created_at",
            "updated_at",
        ]


class CustomerInput(InputSerializer):
    name = serializers.CharField(max_length=200)
    email = serializers.EmailField(allow_blank=True, default="")
    currency = CurrencyField(required=False, help_text="Default: that of the billing entity.")
    time_zone = TimeZoneField(default="UTC", help_text="Billing days are counted in it.")
    organization_id = PublicIdRelatedField(
        Organization.objects.all(), source="organization", required=False, help_text="Default: the one you act in."
    )
    billing_entity_id = PublicIdRelatedField(
        BillingEntity.objects.all(),
        source="billing_entity",
        is_bounded=False,
        required=False,
        help_text="Who sells; needed when there are several (`GET /billing-entities`).",
    )


class CustomerChange(InputSerializer):
    name = serializers.CharField(max_length=200, required=False)
    email = serializers.EmailField(allow_blank=True, required=False)
    currency = CurrencyField(required=False, help_text="Fixed once there is a subscription.")
    time_zone = TimeZoneField(required=False)
    default_payment_method_id = PublicIdRelatedField(
        PaymentMethod.objects.all(), source="default_payment_method", required=False, allow_null=True
    )


class PaymentMethodSerializer(EntitySerializer):
    id = PublicIdField(PaymentMethod, read_only=True)
    customer_id = PublicIdField(Customer, read_only=True)

    class Meta:
        model = PaymentMethod
        fields: ClassVar = ["id", "customer_id", "provider", "kind", "label", "detached_at", "created_at", "updated_at"]


class PaymentMethodInput(InputSerializer):
    token = serializers.RegexField(
        r"^[A-Za-z0-9_\-]+$", max_length=200, help_text='As the provider gave it; of the sandbox: "tok_success".'
    )
    kind = serializers.ChoiceField(PaymentMethodKind.choices, default=PaymentMethodKind.CARD.value)
    label = serializers.CharField(max_length=100, allow_blank=True, default="")  # type: ignore[assignment]
    is_default = serializers.BooleanField(default=True)
