"""Subscriptions as the API shows and takes them."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.api.catalog_serializers import CatalogField
from billing.models import Customer, PaymentMethod, Price, Subscription, SubscriptionItem
from billing.services.subscriptions import NEXT_RENEWAL, NOW
from billing.states import TRANSITIONS, Access, Collection, Status
from core import ids
from core.api.fields import CurrencyField, MinorField, PublicIdField, PublicIdRelatedField
from core.api.replies import moment
from core.api.serializers import EntitySerializer, InputSerializer


class ItemSerializer(EntitySerializer):
    id = PublicIdField(SubscriptionItem, read_only=True)
    price_id = PublicIdField(Price, read_only=True)

    class Meta:
        model = SubscriptionItem
        fields: ClassVar = ["id", "price_id", "quantity"]


class PendingChangeSerializer(serializers.Serializer[Any]):
    price_id = PublicIdField(Price)
    quantity = serializers.IntegerField()
    effective_at = serializers.DateTimeField()


class SubscriptionSerializer(EntitySerializer):
    id = PublicIdField(Subscription, read_only=True)
    customer_id = PublicIdField(Customer, read_only=True)
    status = serializers.ChoiceField([status.value for status in Status], read_only=True)
    access = serializers.ChoiceField([access.value for access in Access], read_only=True)
    collection = serializers.ChoiceField([collection.value for collection in Collection], read_only=True)
    items = ItemSerializer(many=True, read_only=True, source="loaded_items")
    pending_change = serializers.SerializerMethodField()
    allowed_commands = serializers.SerializerMethodField()

    class Meta:
        model = Subscription
        fields: ClassVar = [
            "id",
            "customer_id",
            "status",
            "access",
            "suspended_at",
            "suspended_reason",
            "collection",
            "currency",
            "time_zone",
            "items",
            "started_at",
            "trial_end",
            "billing_anchor",
            "current_period_start",
            "current_period_end",
            "cancel_at_period_end",
            "cancel_reason",
            "canceled_at",
            "ended_at",
            "is_end_known",
            "paused_at",
            "pending_change",
            "term",
            "source",
            "external_id",
            "allowed_commands",
            "created_at",
            "updated_at",
        ]

    @extend_schema_field(PendingChangeSerializer(allow_null=True))
    def get_pending_change(self, row: Subscription) -> dict[str, Any] | None:
        if row.pending_price_id is None or row.pending_effective_at is None:
            return None
        return {
            "price_id": ids.encode(Price.id_prefix, row.pending_price_id),
            "quantity": row.pending_quantity,
            "effective_at": moment(row.pending_effective_at),
        }

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField(sorted(TRANSITIONS))))
    def get_allowed_commands(self, row: Subscription) -> list[str]:
        return row.allowed_commands


_TRIAL = "Instead of the price's; above 0: staff only."


class ItemInput(InputSerializer):
    price_id = CatalogField(Price.objects.all(), source="price")
    quantity = serializers.IntegerField(min_value=1, max_value=1_000_000, default=1)


class SubscriptionInput(InputSerializer):
    customer_id = PublicIdRelatedField(Customer.objects.select_related("organization"), source="customer")
    items = serializers.ListField(child=ItemInput(), min_length=1, max_length=20)
    starts_at = serializers.DateTimeField(required=False, help_text="A later day: the subscription is scheduled.")
    trial_days = serializers.IntegerField(min_value=0, max_value=730, required=False, help_text=_TRIAL)
    collection = serializers.ChoiceField(
        [collection.value for collection in Collection], default=Collection.AUTOMATIC.value
    )
    term = serializers.CharField(max_length=100, allow_blank=True, default="")
    payment_method_id = PublicIdRelatedField(
        PaymentMethod.objects.all(),
        source="payment_method",
        required=False,
        help_text="Pays the first invoice; default: the customer's.",
    )


class PreviewInput(InputSerializer):
    customer_id = PublicIdRelatedField(Customer.objects.all(), source="customer")
    items = serializers.ListField(child=ItemInput(), min_length=1, max_length=20)
    starts_at = serializers.DateTimeField(required=False)
    trial_days = serializers.IntegerField(min_value=0, max_value=730, required=False, help_text=_TRIAL)


class ChangePreviewInput(InputSerializer):
    price_id = CatalogField(Price.objects.all(), source="price")
    quantity = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False)


class ChangePlanInput(ChangePreviewInput):
    effective = serializers.ChoiceField(
        [NEXT_RENEWAL, NOW], default=NEXT_RENEWAL, help_text='"now" needs proration and is refused until it exists.'
    )
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")


class CancelInput(InputSerializer):
    at_period_end = serializers.BooleanField(default=True, help_text="false: it ends at once.")
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")


class ReasonInput(InputSerializer):
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")


class SuspendInput(InputSerializer):
    reason = serializers.CharField(max_length=500)


class EmptyInput(InputSerializer):
    """Nothing."""


class PreviewLineSerializer(serializers.Serializer[Any]):
    price_id = PublicIdField(Price, source="price")
    quantity = serializers.IntegerField()
    amount_minor = MinorField()


class PreviewSerializer(serializers.Serializer[Any]):
    """What would be billed: `total_minor` at `billed_at`, for the period given."""

    status = serializers.ChoiceField([status.value for status in Status])
    lines = PreviewLineSerializer(many=True)
    total_minor = MinorField()
    currency = CurrencyField()
    billed_at = serializers.DateTimeField()
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    trial_end = serializers.DateTimeField(allow_null=True)
