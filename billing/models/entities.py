"""Who sells: the legal persons of the company, each with invoice numbers of its own."""

from __future__ import annotations

from django.db import models

from core.models import Entity


class BillingEntity(Entity):
    """A legal person that issues invoices."""

    id_prefix = "be"
    organization_path = None

    legal_name = models.CharField(max_length=200)
    country = models.CharField(max_length=2, help_text="ISO 3166-1 alpha-2.")
    default_currency = models.CharField(max_length=3, help_text="ISO 4217.")
    invoice_prefix = models.CharField(max_length=12, unique=True, help_text="Begins each of its invoice numbers.")

    class Meta:
        verbose_name = "billing entity"
        verbose_name_plural = "billing entities"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="billing_entity_currency_code", condition=models.Q(default_currency__regex="^[A-Z]{3}$")
            ),
            models.CheckConstraint(name="billing_entity_country_code", condition=models.Q(country__regex="^[A-Z]{2}$")),
        ]

    def __str__(self) -> str:
        return self.legal_name
