"""Invoices, payments and refunds as the API shows and takes them."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from billing.models import (
    BillingEntity,
    Customer,
    Invoice,
    InvoiceLine,
    Payment,
    PaymentAllocation,
    PaymentMethod,
    Price,
    Refund,
    RefundReason,
    Subscription,
)
from billing.money_states import INVOICE, PAYMENT, InvoiceStatus, TransferStatus
from core.api.fields import CurrencyField, MinorField, PublicIdField, PublicIdRelatedField
from core.api.serializers import EntitySerializer, InputSerializer
from core.errors import InvalidInput
from core.money import Money


class InvoiceLineSerializer(EntitySerializer):
    id = PublicIdField(InvoiceLine, read_only=True)
    subscription_id = PublicIdField(Subscription, read_only=True, allow_null=True)
    price_id = PublicIdField(Price, read_only=True, allow_null=True)
    unit_amount_minor = MinorField(read_only=True)
    amount_minor = MinorField(read_only=True)

    class Meta:
        model = InvoiceLine
        fields: ClassVar = [
            "id",
            "kind",
            "subscription_id",
            "price_id",
            "description",
            "quantity",
            "unit_amount_minor",
            "amount_minor",
            "period_start",
            "period_end",
        ]


class InvoiceSerializer(EntitySerializer):
    id = PublicIdField(Invoice, read_only=True)
    customer_id = PublicIdField(Customer, read_only=True)
    billing_entity_id = PublicIdField(BillingEntity, read_only=True)
    status = serializers.ChoiceField([status.value for status in InvoiceStatus], read_only=True)
    total_minor = MinorField(read_only=True)
    amount_paid_minor = MinorField(read_only=True)
    amount_due_minor = MinorField(read_only=True)
    lines = InvoiceLineSerializer(many=True, read_only=True)
    allowed_commands = serializers.ListField(
        child=serializers.ChoiceField(sorted(INVOICE.public)), read_only=True, help_text="What may be asked for now."
    )

    class Meta:
        model = Invoice
        fields: ClassVar = [
            "id",
            "number",
            "status",
            "reason",
            "collection",
            "customer_id",
            "billing_entity_id",
            "currency",
            "total_minor",
            "amount_paid_minor",
            "amount_due_minor",
            "lines",
            "finalized_at",
            "due_at",
            "paid_at",
            "voided_at",
            "uncollectible_at",
            "attempt_count",
            "last_failure_code",
            "allowed_commands",
            "created_at",
            "updated_at",
        ]


class AllocationSerializer(EntitySerializer):
    invoice_id = PublicIdField(Invoice, read_only=True)
    amount_minor = MinorField(read_only=True)

    class Meta:
        model = PaymentAllocation
        fields: ClassVar = ["invoice_id", "amount_minor"]


class PaymentSerializer(EntitySerializer):
    """`subscription_ids` are reached through the invoices that the payment is allocated to."""

    id = PublicIdField(Payment, read_only=True)
    customer_id = PublicIdField(Customer, read_only=True)
    billing_entity_id = PublicIdField(BillingEntity, read_only=True)
    payment_method_id = PublicIdField(PaymentMethod, read_only=True)
    status = serializers.ChoiceField([status.value for status in TransferStatus], read_only=True)
    amount_minor = MinorField(read_only=True)
    refunded_minor = MinorField(read_only=True)
    allocations = AllocationSerializer(many=True, read_only=True)
    subscription_ids = serializers.ListField(child=PublicIdField(Subscription), read_only=True)
    allowed_commands = serializers.ListField(child=serializers.ChoiceField(sorted(PAYMENT.public)), read_only=True)

    class Meta:
        model = Payment
        fields: ClassVar = [
            "id",
            "status",
            "customer_id",
            "billing_entity_id",
            "payment_method_id",
            "provider",
            "provider_reference",
            "amount_minor",
            "refunded_minor",
            "currency",
            "failure_code",
            "failure_message",
            "allocations",
            "subscription_ids",
            "succeeded_at",
            "failed_at",
            "allowed_commands",
            "created_at",
            "updated_at",
        ]


class RefundSerializer(EntitySerializer):
    id = PublicIdField(Refund, read_only=True)
    payment_id = PublicIdField(Payment, read_only=True)
    status = serializers.ChoiceField([status.value for status in TransferStatus], read_only=True)
    amount_minor = MinorField(read_only=True)

    class Meta:
        model = Refund
        fields: ClassVar = [
            "id",
            "status",
            "payment_id",
            "provider",
            "provider_reference",
            "amount_minor",
            "currency",
            "reason",
            "note",
            "failure_code",
            "failure_message",
            "succeeded_at",
            "failed_at",
            "created_at",
            "updated_at",
        ]


class AmountInput(InputSerializer):
    """An amount may be left out: all that is left is meant then. With it goes its currency."""

    amount_minor = MinorField(min_value=1, required=False, help_text="Default: all that is left.")
    currency = CurrencyField(required=False, help_text="Needed with `amount_minor`.")


def money_of(data: dict[str, Any]) -> Money | None:
    """Take the amount out of validated input. Raises InvalidInput for one without the other."""
    minor, currency = data.pop("amount_minor", None), data.pop("currency", None)
    if minor is None and currency is None:
        return None
    if minor is None:
        raise InvalidInput.at("/amount_minor", "A currency needs its amount.", "needs_amount")
    if currency is None:
        raise InvalidInput.at("/currency", "An amount needs its currency.", "needs_currency")
    return Money(minor, currency)


class PayInput(AmountInput):
    payment_method_id = PublicIdRelatedField(
        PaymentMethod.objects.all(), source="payment_method", required=False, help_text="Default: the customer's."
    )


class PaymentInput(PayInput):
    invoice_id = PublicIdRelatedField(Invoice.objects.select_related("customer"), source="invoice")


class RefundInput(AmountInput):
    payment_id = PublicIdRelatedField(Payment.objects.select_related("customer"), source="payment")
    reason = serializers.ChoiceField(RefundReason.choices, default=RefundReason.OTHER.value)
    note = serializers.CharField(max_length=500, allow_blank=True, default="")


class InvoiceReasonInput(InputSerializer):
    reason = serializers.CharField(max_length=500)


class FinalizeInput(InputSerializer):
    """Nothing."""
