"""What customers are asked to pay: invoices, their lines, and the counter of their numbers."""

from __future__ import annotations

from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F, Q

from billing.models.catalog import Price
from billing.models.customers import Customer
from billing.models.entities import BillingEntity
from billing.models.subscriptions import Subscription
from billing.money_states import INVOICE, InvoiceStatus
from billing.states import Collection
from core.models import Entity
from core.money import Money


class InvoiceReason(models.TextChoices):
    """Why it was issued."""

    SUBSCRIPTION_CREATE = "subscription_create", "First period of a subscription"
    SUBSCRIPTION_CYCLE = "subscription_cycle", "Renewal of a subscription"
    MANUAL = "manual", "Made by staff"


class Invoice(Entity):
    """A demand for payment. It gets its number when it is finalised; from then on a trigger keeps number, customer,
    currency and total as they are."""

    id_prefix = "inv"
    organization_path = "customer__organization_id"

    billing_entity = models.ForeignKey(BillingEntity, on_delete=models.PROTECT, related_name="invoices")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="invoices")
    number = models.CharField(  # noqa: DJ001  (unique where it is given)
        max_length=32, null=True, blank=True, help_text="Given when it is finalised."
    )
    sequence = models.PositiveBigIntegerField(null=True, blank=True, help_text="The number without its prefix.")
    status = models.CharField(
        max_length=20, choices=[(s.value, s.value) for s in InvoiceStatus], default=InvoiceStatus.DRAFT.value
    )
    reason = models.CharField(max_length=30, choices=InvoiceReason.choices, default=InvoiceReason.MANUAL)
    collection = models.CharField(
        max_length=10, choices=[(c.value, c.value) for c in Collection], default=Collection.AUTOMATIC.value
    )
    currency = models.CharField(max_length=3, help_text="ISO 4217.")
    total_minor = models.BigIntegerField(help_text="Minor units (cents for USD).")
    amount_paid_minor = models.BigIntegerField(default=0)
    finalized_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)
    uncollectible_at = models.DateTimeField(null=True, blank=True)
    attempt_count = models.PositiveIntegerField(default=0, help_text="How often collection was tried.")
    last_failure_code = models.CharField(max_length=60, blank=True, default="")

    class Meta:
        verbose_name = "invoice"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["customer", "-id"], name="billing_inv_of_customer"),
            models.Index(fields=["status", "-id"], name="billing_inv_by_status"),
            models.Index(OpClass(F("number"), name="text_pattern_ops"), name="billing_inv_number"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["billing_entity", "number"], name="billing_invoice_number_once"),
            models.UniqueConstraint(fields=["billing_entity", "sequence"], name="billing_invoice_sequence_once"),
            models.CheckConstraint(
                name="billing_invoice_status", condition=Q(status__in=sorted(s.value for s in InvoiceStatus))
            ),
            models.CheckConstraint(
                name="billing_invoice_paid_within_total",
                condition=Q(amount_paid_minor__gte=0, amount_paid_minor__lte=F("total_minor")),
            ),
            models.CheckConstraint(
                name="billing_invoice_paid_in_full",
                condition=~Q(status="paid") | Q(amount_paid_minor=F("total_minor"), paid_at__isnull=False),
            ),
            models.CheckConstraint(
                name="billing_invoice_numbered",
                condition=Q(status__in=["draft", "void"])
                | Q(number__isnull=False, sequence__isnull=False, finalized_at__isnull=False),
            ),
            models.CheckConstraint(name="billing_invoice_currency_code", condition=Q(currency__regex="^[A-Z]{3}$")),
        ]

    def __str__(self) -> str:
        return self.number or self.public_id

    @property
    def total(self) -> Money:
        return Money(self.total_minor, self.currency)

    @property
    def amount_due_minor(self) -> int:
        """What is still to be paid, in minor units; nothing on a draft or void invoice."""
        if self.status in (InvoiceStatus.DRAFT, InvoiceStatus.VOID):
            return 0
        return self.total_minor - self.amount_paid_minor

    @property
    def allowed_commands(self) -> list[str]:
        """What may be asked for now."""
        return INVOICE.allowed_commands(self)


class LineKind(models.TextChoices):
    RECURRING = "recurring", "One period of a subscription"
    ONE_OFF = "one_off", "Once"


class InvoiceLine(Entity):
    """One position. A recurring line bills one price of a subscription for one period, and the database holds that
    there is one such line at most: that is what makes renewal happen once."""

    id_prefix = "il"
    organization_path = "invoice__customer__organization_id"

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines")
    kind = models.CharField(max_length=10, choices=LineKind.choices, default=LineKind.RECURRING)
    subscription = models.ForeignKey(
        Subscription, null=True, blank=True, on_delete=models.PROTECT, related_name="invoice_lines"
    )
    price = models.ForeignKey(Price, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField(default=0)
    description = models.CharField(max_length=300)
    quantity = models.PositiveIntegerField(default=1)
    unit_amount_minor = models.BigIntegerField()
    amount_minor = models.BigIntegerField(help_text="Minor units; quantity times unit amount, rounded once.")
    currency = models.CharField(max_length=3)
    period_start = models.DateTimeField(null=True, blank=True)
    period_end = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "invoice line"
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "period_start", "position"],
                name="billing_period_invoiced_once",
                condition=Q(kind="recurring"),
            ),
            models.CheckConstraint(
                name="billing_line_recurring",
                condition=~Q(kind="recurring")
                | Q(subscription__isnull=False, period_start__isnull=False, period_end__gt=F("period_start")),
            ),
        ]

    def __str__(self) -> str:
        return self.description


class InvoiceCounter(models.Model):
    """The last invoice number of a billing entity. Its row is locked last and for a moment: numbers have no gaps,
    since a rollback gives the number back."""

    billing_entity = models.OneToOneField(
        BillingEntity, primary_key=True, on_delete=models.PROTECT, related_name="invoice_counter"
    )
    last_sequence = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = "invoice counter"

    def __str__(self) -> str:
        return str(self.last_sequence)
