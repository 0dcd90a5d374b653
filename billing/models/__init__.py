"""The tables of billing, one file per concept."""

from billing.models.catalog import Interval, Price, Product
from billing.models.customers import Customer, PaymentMethod, PaymentMethodKind
from billing.models.entities import BillingEntity
from billing.models.subscriptions import Subscription, SubscriptionItem

__all__ = [
    "BillingEntity",
    "Customer",
    "Interval",
    "PaymentMethod",
    "PaymentMethodKind",
    "Price",
    "Product",
    "Subscription",
    "SubscriptionItem",
]
