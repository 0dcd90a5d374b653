"""Invoices, payments and refunds. What moves money needs an `Idempotency-Key`."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Exists, OuterRef, QuerySet

from billing.api import money_serializers as s
from billing.api.base import BillingViewSet
from billing.errors import (
    AmountTooLarge,
    InvoiceAlreadyPaid,
    InvoicePartlyPaid,
    PaymentCurrencyMismatch,
    PaymentDeclined,
    PaymentInProgress,
    PaymentMethodUnusable,
    RefundRejected,
)
from billing.models import Customer, Invoice, InvoiceLine, InvoiceReason, Payment, Refund, Subscription
from billing.money_states import InvoiceStatus, TransferStatus
from billing.permissions import INVOICE_VIEW, PAYMENT_VIEW, REFUND_VIEW
from billing.services import invoices, payments, refunds
from core.api import problems
from core.api.filters import EntityFilterSet, PublicIdFilter
from core.api.replies import Reply
from core.api.requests import Request
from core.api.viewsets import command_action, operation
from core.errors import InvalidTransition

_STATUSES = [(status.value, status.value) for status in TransferStatus]
_PAYMENT_ERRORS = (
    InvoiceAlreadyPaid,
    PaymentInProgress,
    InvalidTransition,
    AmountTooLarge,
    PaymentCurrencyMismatch,
    PaymentMethodUnusable,
    PaymentDeclined,
)


class InvoiceFilters(EntityFilterSet):
    customer_id = PublicIdFilter(Customer)
    subscription_id = PublicIdFilter(Subscription, method="of_subscription")
    status = django_filters.MultipleChoiceFilter(choices=[(status.value, status.value) for status in InvoiceStatus])
    reason = django_filters.ChoiceFilter(choices=InvoiceReason.choices)
    number = django_filters.CharFilter(max_length=32)

    class Meta:
        model = Invoice
        fields: list[str] = []

    def of_subscription(self, rows: QuerySet[Invoice], name: str, value: Any) -> QuerySet[Invoice]:
        lines = InvoiceLine.objects.filter(invoice=OuterRef("pk"), subscription_id=value)
        return rows.filter(Exists(lines)) if value else rows


class PaymentFilters(EntityFilterSet):
    customer_id = PublicIdFilter(Customer)
    invoice_id = PublicIdFilter(Invoice, field_name="allocations__invoice_id")
    subscription_id = PublicIdFilter(Subscription, method="of_subscription")
    status = django_filters.MultipleChoiceFilter(choices=_STATUSES)

    class Meta:
        model = Payment
        fields: list[str] = []

    def of_subscription(self, rows: QuerySet[Payment], name: str, value: Any) -> QuerySet[Payment]:
        lines = InvoiceLine.objects.filter(invoice__allocations__payment=OuterRef("pk"), subscription_id=value)
        return rows.filter(Exists(lines)) if value else rows


class RefundFilters(EntityFilterSet):
    payment_id = PublicIdFilter(Payment)
    customer_id = PublicIdFilter(Customer, field_name="payment__customer_id")
    status = django_filters.MultipleChoiceFilter(choices=_STATUSES)

    class Meta:
        model = Refund
        fields: list[str] = []


class InvoiceViewSet(BillingViewSet):
    tag = "invoices"
    queryset = Invoice.objects.select_related("customer").prefetch_related("lines")
    serializer_class = s.InvoiceSerializer
    filterset_class = InvoiceFilters
    view_permission = INVOICE_VIEW.name

    @command_action(
        request=s.PayInput,
        response=s.PaymentSerializer,
        status=201,
        idempotency="operation",
        is_key_required=True,
        errors=_PAYMENT_ERRORS,
        summary="Pay an invoice",
    )
    def pay(self, request: Request, **kwargs: Any) -> Reply:
        """A payment that succeeded is answered with 201, a decline with 402, one whose answer is not known yet with
        202: ask for the payment at `Location`."""
        data = self.input()
        return _pay(request, invoice=self.entity(), data=data)

    @command_action(
        request=s.InvoiceReasonInput,
        response=s.InvoiceSerializer,
        errors=(InvalidTransition, InvoicePartlyPaid, PaymentInProgress),
        summary="Void an invoice (staff)",
    )
    def void(self, request: Request, **kwargs: Any) -> Invoice:
        return invoices.void(actor=request.actor, invoice=self.entity(), now=request.now, **self.input())

    @command_action(
        request=s.InvoiceReasonInput,
        response=s.InvoiceSerializer,
        errors=(InvalidTransition, PaymentInProgress),
        summary="Give up collecting an invoice (staff)",
    )
    def mark_uncollectible(self, request: Request, **kwargs: Any) -> Invoice:
        return invoices.mark_uncollectible(actor=request.actor, invoice=self.entity(), now=request.now, **self.input())

    @command_action(
        request=s.FinalizeInput,
        response=s.InvoiceSerializer,
        errors=(InvalidTransition,),
        summary="Finalise a draft invoice (staff)",
    )
    def finalize(self, request: Request, **kwargs: Any) -> Invoice:
        self.input()
        return invoices.finalize(actor=request.actor, invoice=self.entity(), now=request.now)


class PaymentViewSet(BillingViewSet):
    tag = "payments"
    queryset = Payment.objects.select_related("customer").prefetch_related("allocations__invoice__lines")
    serializer_class = s.PaymentSerializer
    filterset_class = PaymentFilters
    view_permission = PAYMENT_VIEW.name

    @operation(
        request=s.PaymentInput,
        response=s.PaymentSerializer,
        status=201,
        idempotency="operation",
        is_key_required=True,
        errors=_PAYMENT_ERRORS,
        summary="Pay an invoice, or a part of it",
    )
    def create(self, request: Request) -> Reply:
        """A payment that succeeded is answered with 201, a decline with 402, one whose answer is not known yet with
        202: ask for the payment at `Location`."""
        data = self.input()
        return _pay(request, invoice=data.pop("invoice"), data=data)


class RefundViewSet(BillingViewSet):
    tag = "refunds"
    queryset = Refund.objects.select_related("payment__customer")
    serializer_class = s.RefundSerializer
    filterset_class = RefundFilters
    view_permission = REFUND_VIEW.name

    @operation(
        request=s.RefundInput,
        response=s.RefundSerializer,
        status=201,
        idempotency="operation",
        is_key_required=True,
        errors=(InvalidTransition, AmountTooLarge, PaymentCurrencyMismatch, RefundRejected),
        summary="Give back a payment, or a part of it (staff)",
    )
    def create(self, request: Request) -> Reply:
        """A refund that was made is answered with 201, a refusal by the provider with 402, one whose answer is not
        known yet with 202: ask for the refund at `Location`."""
        data = self.input()
        money = s.money_of(data)
        refund = refunds.create(
            actor=request.actor, operation_key=request.operation_key, now=request.now, money=money, **data
        )
        if refund.status == TransferStatus.FAILED:
            error = RefundRejected(
                "The provider did not give the money back.",
                failure_code=refund.failure_code,
                provider_message=refund.failure_message,
                refund_id=refund.public_id,
            )
            return problems.reply_to(error, request._request)
        return _reply("refunds", refund, s.RefundSerializer)


def _pay(request: Request, *, invoice: Invoice, data: dict[str, Any]) -> Reply:
    money = s.money_of(data)
    payment = payments.create(
        actor=request.actor,
        invoice=invoice,
        operation_key=request.operation_key,
        now=request.now,
        payment_method=data.get("payment_method"),
        money=money,
    )
    if payment.status == TransferStatus.FAILED:
        error = PaymentDeclined(
            f"The payment was declined: {payment.failure_code}.",
            decline_code=payment.failure_code,
            provider_message=payment.failure_message,
            payment_id=payment.public_id,
        )
        return problems.reply_to(error, request._request)
    return _reply("payments", payment, s.PaymentSerializer)


def _reply(route: str, transfer: Payment | Refund, serializer: Any) -> Reply:
    """Return what became of it: 201 when it is known, 202 while it is not."""
    status = 202 if transfer.is_in_flight else 201
    headers = {"Location": f"/api/v1/{route}/{transfer.public_id}"}
    return Reply(serializer.represent(transfer), status=status, headers=headers, version=transfer.version)
