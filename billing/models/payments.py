"""Money that came in and money that was given back."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.db.models import F, Q

from billing.models.customers import Customer, PaymentMethod
from billing.models.entities import BillingEntity
from billing.models.invoices import Invoice
from billing.money_states import IN_FLIGHT, PAYMENT, TransferStatus
from core.ids import new_id
from core.models import AppendOnly, Entity
from core.money import Money

_IN_FLIGHT = sorted(status.value for status in IN_FLIGHT)


class Transfer(Entity):
    """A persisted step outside: committed as an intent, carried out by the provider under a key of ours (the public
    id), settled when its answer is known. `lease_until` says how long whoever asks the provider has it for itself, or
    when to ask again; `attempt_count` how often it was asked. A provider has one answer for a key, so whoever hears it
    first writes it."""

    amount_minor = models.BigIntegerField(help_text="Minor units (cents for USD).")
    currency = models.CharField(max_length=3, help_text="ISO 4217.")
    status = models.CharField(
        max_length=12, choices=[(s.value, s.value) for s in TransferStatus], default=TransferStatus.PROCESSING.value
    )
    provider = models.CharField(max_length=30)
    provider_reference = models.CharField(max_length=200, blank=True, default="")
    operation_key = models.CharField(
        max_length=200, unique=True, editable=False, help_text="Of the request that made it: one effect for one key."
    )
    failure_code = models.CharField(max_length=60, blank=True, default="")
    failure_message = models.CharField(max_length=300, blank=True, default="", help_text="The provider's words.")
    attempt_count = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    succeeded_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def is_in_flight(self) -> bool:
        """Whether the provider's answer is still to come."""
        return self.status in IN_FLIGHT


class Payment(Transfer):
    """A customer's payment. It reaches subscriptions through its allocations: payment -> allocation -> invoice ->
    line -> subscription; there is no other link."""

    id_prefix = "pay"
    organization_path = "customer__organization_id"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="payments")
    billing_entity = models.ForeignKey(BillingEntity, on_delete=models.PROTECT, related_name="payments")
    payment_method = models.ForeignKey(PaymentMethod, on_delete=models.PROTECT, related_name="payments")
    refunded_minor = models.BigIntegerField(default=0, help_text="What was given back so far.")

    class Meta:
        verbose_name = "payment"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["customer", "-id"], name="billing_pay_of_customer"),
            models.Index(fields=["status", "-id"], name="billing_pay_by_status"),
            models.Index(fields=["lease_until"], name="billing_pay_in_flight", condition=Q(status__in=_IN_FLIGHT)),
            models.Index(fields=["succeeded_at"], name="billing_pay_succeeded", condition=Q(status="succeeded")),
            models.Index(fields=["failed_at"], name="billing_pay_failed", condition=Q(status="failed")),
        ]
        constraints = [
            models.CheckConstraint(name="billing_payment_amount", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(
                name="billing_payment_status", condition=Q(status__in=sorted(s.value for s in TransferStatus))
            ),
            models.CheckConstraint(
                name="billing_payment_refunded_within_amount",
                condition=Q(refunded_minor__gte=0, refunded_minor__lte=F("amount_minor")),
            ),
            models.CheckConstraint(
                name="billing_payment_settled",
                condition=Q(status__in=_IN_FLIGHT)
                | Q(status="succeeded", succeeded_at__isnull=False)
                | Q(status="failed", failed_at__isnull=False, refunded_minor=0),
            ),
        ]

    @property
    def subscription_ids(self) -> list[UUID]:
        """The subscriptions that this payment pays for, through allocations, invoices and lines (prefetch
        `allocations__invoice__lines` for lists)."""
        found = {
            line.subscription_id
            for allocation in self.allocations.all()
            for line in allocation.invoice.lines.all()
            if line.subscription_id is not None
        }
        return sorted(found)

    @property
    def allowed_commands(self) -> list[str]:
        """What may be asked for now."""
        return PAYMENT.allowed_commands(self) if self.refunded_minor < self.amount_minor else []


class PaymentAllocation(AppendOnly):
    """How much of a payment is meant for which invoice. It is written with the intent and counts once the payment has
    succeeded; while the payment is in flight it keeps others from paying the same again."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="allocations")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="allocations")
    amount_minor = models.BigIntegerField(help_text="Minor units of the payment's currency.")

    class Meta:
        verbose_name = "payment allocation"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["payment", "invoice"], name="billing_allocation_once"),
            models.CheckConstraint(name="billing_allocation_amount", condition=Q(amount_minor__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor}"


class RefundReason(models.TextChoices):
    DUPLICATE = "duplicate", "Paid twice"
    FRAUDULENT = "fraudulent", "Fraudulent"
    REQUESTED_BY_CUSTOMER = "requested_by_customer", "Requested by the customer"
    OTHER = "other", "Other"


class Refund(Transfer):
    """Money given back from one payment; all refunds of a payment together never exceed it."""

    id_prefix = "ref"
    organization_path = "payment__customer__organization_id"

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    reason = models.CharField(max_length=30, choices=RefundReason.choices, default=RefundReason.OTHER)
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        verbose_name = "refund"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["payment", "-id"], name="billing_ref_of_payment"),
            models.Index(fields=["lease_until"], name="billing_ref_in_flight", condition=Q(status__in=_IN_FLIGHT)),
        ]
        constraints = [
            models.CheckConstraint(name="billing_refund_amount", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(
                name="billing_refund_status", condition=Q(status__in=sorted(s.value for s in TransferStatus))
            ),
        ]
