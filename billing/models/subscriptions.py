"""What runs: subscriptions and their items."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.functional import cached_property

from billing.models.catalog import Price
from billing.models.customers import Customer
from billing.models.entities import BillingEntity
from billing.states import ENDED, REVENUE, RUNNING, Access, Collection, Status, allowed_commands
from core.models import Entity
from core.reading import Children


def _values(members: Iterable[StrEnum]) -> list[str]:
    """Plain text, so that migrations hold no enums."""
    return sorted(member.value for member in members)


class Subscription(Entity):
    """A customer's running agreement. Its status changes by the commands of `billing/states.py` alone.

    `ended_at` is empty for one that runs, and for an imported one whose end is not known (`is_end_known` false): such
    are outside churn. Periods are counted from `billing_anchor` in `time_zone`, copied from the customer when it began.
    """

    id_prefix = "sub"
    organization_path = "customer__organization_id"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="subscriptions")
    billing_entity = models.ForeignKey(
        BillingEntity,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        editable=False,
        help_text="The customer's, which never changes: so that figures per entity need no join.",
    )
    status = models.CharField(max_length=20, choices=[(status.value, status.value) for status in Status])
    access = models.CharField(max_length=10, choices=[(a.value, a.value) for a in Access], default=Access.GRANTED.value)
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspended_reason = models.CharField(max_length=500, blank=True, default="")
    collection = models.CharField(
        max_length=10, choices=[(c.value, c.value) for c in Collection], default=Collection.AUTOMATIC.value
    )
    currency = models.CharField(max_length=3, help_text="ISO 4217; all its items have it.")
    time_zone = models.CharField(max_length=64, default="UTC")

    started_at = models.DateTimeField()
    trial_end = models.DateTimeField(null=True, blank=True)
    billing_anchor = models.DateTimeField(help_text="The moment from which periods are counted.")
    current_period_start = models.DateTimeField()
    current_period_end = models.DateTimeField()
    paused_at = models.DateTimeField(null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True, help_text="When the cancellation was asked for.")
    ended_at = models.DateTimeField(null=True, blank=True)
    is_end_known = models.BooleanField(default=True)
    cancel_at_period_end = models.BooleanField(default=False)
    cancel_reason = models.CharField(max_length=500, blank=True, default="")

    pending_price = models.ForeignKey(Price, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    pending_quantity = models.PositiveIntegerField(null=True, blank=True)
    pending_effective_at = models.DateTimeField(null=True, blank=True)

    term = models.CharField(max_length=100, blank=True, default="", help_text='What was agreed on ("One year").')
    source = models.CharField(max_length=100, blank=True, default="")
    external_id = models.CharField(max_length=200, blank=True, default="")

    operation_key = models.CharField(
        max_length=200, null=True, blank=True, unique=True, editable=False, help_text="Of the request that made it."
    )

    class Meta:
        ordering = ["-id"]
        verbose_name = "subscription"
        indexes = [
            models.Index(fields=["customer", "-id"], name="billing_sub_of_customer"),
            models.Index(fields=["status", "-id"], name="billing_sub_by_status"),
            models.Index(fields=["billing_entity", "status"], include=["customer", "id"], name="billing_sub_of_entity"),
            models.Index(
                fields=["current_period_end"],
                name="billing_sub_due",
                condition=Q(status__in=_values(RUNNING)),
            ),
            models.Index(
                fields=["customer"],
                include=["id", "currency"],
                name="billing_sub_revenue",
                condition=Q(status__in=_values(REVENUE)),
            ),
            models.Index(fields=["started_at"], name="billing_sub_started"),
            models.Index(
                fields=["ended_at"], name="billing_sub_ended", condition=Q(ended_at__isnull=False, is_end_known=True)
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                name="billing_subscription_imported_once",
                condition=~Q(external_id=""),
            ),
            models.CheckConstraint(name="billing_subscription_status", condition=Q(status__in=_values(Status))),
            models.CheckConstraint(name="billing_subscription_access", condition=Q(access__in=_values(Access))),
            models.CheckConstraint(
                name="billing_subscription_period", condition=Q(current_period_end__gt=F("current_period_start"))
            ),
            models.CheckConstraint(
                name="billing_subscription_pending",
                condition=Q(pending_price__isnull=True, pending_effective_at__isnull=True)
                | Q(pending_price__isnull=False, pending_effective_at__isnull=False),
            ),
            models.CheckConstraint(
                name="billing_subscription_suspension",
                condition=Q(access=Access.GRANTED.value, suspended_at__isnull=True)
                | Q(access=Access.SUSPENDED.value, suspended_at__isnull=False),
            ),
            models.CheckConstraint(
                name="billing_subscription_ended",
                condition=Q(status=Status.CANCELED.value, ended_at__isnull=False)
                | Q(status=Status.CANCELED.value, is_end_known=False)
                | Q(status=Status.INCOMPLETE_EXPIRED.value, ended_at__isnull=False)
                | (~Q(status__in=_values(ENDED)) & Q(ended_at__isnull=True)),
            ),
        ]

    @cached_property
    def loaded_items(self) -> list[SubscriptionItem]:
        """Its items in the order of their making. `WITH_ITEMS` fills it for a whole list at once."""
        return list(self.items.order_by("id"))

    @property
    def allowed_commands(self) -> list[str]:
        """What may be asked for now."""
        return allowed_commands(self)


class SubscriptionItem(Entity):
    """One price of a subscription, and how many units of it."""

    id_prefix = "si"
    organization_path = "subscription__customer__organization_id"

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="items")
    price = models.ForeignKey(Price, on_delete=models.PROTECT, related_name="subscription_items")
    quantity = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["id"]
        verbose_name = "subscription item"
        constraints = [
            models.UniqueConstraint(fields=["subscription", "price"], name="billing_item_price_once"),
            models.CheckConstraint(name="billing_item_quantity", condition=Q(quantity__gte=1)),
        ]


# Into a plain list: a prefetch through the manager would build a query set for every row.
WITH_ITEMS: Any = Children(
    "items",
    SubscriptionItem.objects.only("subscription_id", "price_id", "quantity").order_by("id"),
    to_attr="loaded_items",
)
