"""Who buys: billing profiles, and how they pay."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from billing.models.entities import BillingEntity
from core.models import Entity


class Customer(Entity):
    """A billing profile, of an organisation or, when imported, of none yet.

    `source` and `external_id` say where it was imported from; together they are unique.
    """

    id_prefix = "cus"

    organization = models.ForeignKey(
        "accounts.Organization", null=True, blank=True, on_delete=models.PROTECT, related_name="customers"
    )
    billing_entity = models.ForeignKey(BillingEntity, on_delete=models.PROTECT, related_name="customers")
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True, default="")
    currency = models.CharField(max_length=3, help_text="ISO 4217.")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="IANA name; billing days are counted in it.")
    source = models.CharField(max_length=100, blank=True, default="")
    external_id = models.CharField(max_length=200, blank=True, default="")
    default_payment_method = models.ForeignKey(
        "billing.PaymentMethod", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        verbose_name = "customer"
        indexes = [
            models.Index(fields=["organization", "-id"], name="billing_customer_of_org"),
            models.Index(OpClass(Lower("email"), name="text_pattern_ops"), name="billing_customer_email"),
            models.Index(OpClass(Lower("name"), name="text_pattern_ops"), name="billing_customer_name"),
            models.Index(OpClass(Lower("external_id"), name="text_pattern_ops"), name="billing_customer_external_id"),
            GinIndex(OpClass(Lower("name"), name="gin_trgm_ops"), name="billing_customer_name_part"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"], name="billing_customer_imported_once", condition=~Q(external_id="")
            ),
            models.CheckConstraint(name="billing_customer_currency_code", condition=Q(currency__regex="^[A-Z]{3}$")),
        ]

    def __str__(self) -> str:
        return self.name


class PaymentMethodKind(models.TextChoices):
    """How money comes in."""

    CARD = "card", "Card"
    BANK_DEBIT = "bank_debit", "Bank debit"
    BANK_TRANSFER = "bank_transfer", "Bank transfer"
    CHECK = "check", "Check"
    OTHER = "other", "Other"


class PaymentMethod(Entity):
    """A means of payment, kept by the provider; here stands only its reference."""

    id_prefix = "pm"
    organization_path = "customer__organization_id"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="payment_methods")
    provider = models.CharField(max_length=30)
    provider_reference = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=PaymentMethodKind.choices, default=PaymentMethodKind.CARD)
    label = models.CharField(max_length=100, blank=True, default="", help_text='As people call it ("Visa 4242").')
    detached_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is not used any more.")

    class Meta:
        ordering = ["-id"]
        verbose_name = "payment method"
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "provider", "provider_reference"], name="billing_payment_method_once"
            )
        ]

    def __str__(self) -> str:
        return self.label or self.kind
