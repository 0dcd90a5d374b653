"""What is sold: products, and prices at which they are sold."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from core.models import Entity
from core.money import Money


class Interval(models.TextChoices):
    """The unit of a billing period."""

    DAY = "day", "day"
    WEEK = "week", "week"
    MONTH = "month", "month"
    YEAR = "year", "year"


class Product(Entity):
    """Something that can be subscribed to. Staff write it; every signed-in actor sees what is active."""

    id_prefix = "prod"
    organization_path = None

    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    is_active = models.BooleanField(default=True, help_text="Inactive products are not sold any more.")

    class Meta:
        ordering = ["-id"]
        verbose_name = "product"

    def __str__(self) -> str:
        return self.name


class Price(Entity):
    """What one unit of a product costs for one period. Amount, currency and interval never change once it is used
    (a trigger refuses it too). An unlisted price is for those who were given it, and not shown in the catalogue."""

    id_prefix = "price"
    organization_path = None

    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="prices")
    amount_minor = models.BigIntegerField(help_text="Minor units (cents for USD).")
    currency = models.CharField(max_length=3, help_text="ISO 4217.")
    interval = models.CharField(max_length=5, choices=Interval.choices, default=Interval.MONTH)
    interval_count = models.PositiveSmallIntegerField(default=1, help_text="How many intervals make one period.")
    trial_days = models.PositiveSmallIntegerField(default=0)
    is_listed = models.BooleanField(default=True)
    is_active = models.BooleanField(default=True, help_text="Inactive prices take no new subscriptions.")
    lookup_key = models.CharField(max_length=200, null=True, blank=True, unique=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "price"
        indexes = [models.Index(fields=["product", "-id"], name="billing_price_of_product")]
        constraints = [
            models.CheckConstraint(name="billing_price_amount_not_negative", condition=Q(amount_minor__gte=0)),
            models.CheckConstraint(name="billing_price_currency_code", condition=Q(currency__regex="^[A-Z]{3}$")),
            models.CheckConstraint(
                name="billing_price_interval_count", condition=Q(interval_count__gte=1, interval_count__lte=366)
            ),
            models.CheckConstraint(name="billing_price_interval", condition=Q(interval__in=Interval.values)),
            models.CheckConstraint(name="billing_price_trial_days", condition=Q(trial_days__lte=730)),
        ]

    def __str__(self) -> str:
        return f"{self.money.format()} {self.rhythm}"

    @property
    def money(self) -> Money:
        """What one unit costs for one period."""
        return Money(self.amount_minor, self.currency)

    @property
    def rhythm(self) -> str:
        """The period in words: "per month", "every 3 months"."""
        if self.interval_count == 1:
            return f"per {self.interval}"
        return f"every {self.interval_count} {self.interval}s"
