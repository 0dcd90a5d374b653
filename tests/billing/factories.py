"""A small company to bill for: rows made directly, since these tests begin where they exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from billing.models import (
    BillingEntity,
    Customer,
    Invoice,
    InvoiceReason,
    PaymentMethod,
    Price,
    Product,
    Subscription,
    SubscriptionItem,
)
from billing.periods import Cadence, Period
from billing.services import invoices
from core.actor import SYSTEM
from core.ids import new_id

NOW = datetime(2026, 3, 31, 9, 0, tzinfo=UTC)


def entity(**values: Any) -> BillingEntity:
    defaults = {"legal_name": "Example Inc.", "country": "US", "default_currency": "USD"}
    return BillingEntity.objects.create(**{**defaults, "invoice_prefix": f"T{new_id().hex[-8:].upper()}", **values})


def customer(*, token: str | None = "tok_success", **values: Any) -> Customer:
    """A customer with a payment method on the sandbox (none when `token` is None)."""
    values.setdefault("billing_entity", None)
    values["billing_entity"] = values["billing_entity"] or entity()
    made = Customer.objects.create(**{"name": "Customer", "email": "c@example.com", "currency": "USD", **values})
    if token is not None:
        made.default_payment_method = method(made, token)
        made.save(update_fields=["default_payment_method"])
    return made


def method(owner: Customer, token: str) -> PaymentMethod:
    return PaymentMethod.objects.create(customer=owner, provider="sandbox", provider_reference=token)


def price(*, amount_minor: int = 2985, currency: str = "USD", **values: Any) -> Price:
    product = values.pop("product", None) or Product.objects.create(name="Phone service")
    return Price.objects.create(product=product, amount_minor=amount_minor, currency=currency, **values)


def subscription(
    owner: Customer, *prices: Price, status: str = "active", start: datetime = NOW - timedelta(days=31), **values: Any
) -> Subscription:
    """A subscription in its first month; for `start` a month before NOW it is due at NOW."""
    prices = prices or (price(currency=owner.currency),)
    period = Cadence(prices[0].interval, prices[0].interval_count).period_from(start)
    made = Subscription.objects.create(
        **{
            "customer": owner,
            "billing_entity_id": owner.billing_entity_id,
            "status": status,
            "currency": owner.currency,
            "started_at": start,
            "billing_anchor": start,
            "current_period_start": period.start,
            "current_period_end": period.end,
            **values,
        }
    )
    for each in prices:
        SubscriptionItem.objects.create(subscription=made, price=each)
    return made


def invoice(
    owner: Customer | None = None,
    *,
    amount_minor: int = 2985,
    running: Subscription | None = None,
    reason: InvoiceReason = InvoiceReason.SUBSCRIPTION_CREATE,
) -> Invoice:
    """An open invoice over one period of a new subscription (reason `create`: nothing collects it by itself)."""
    owner = owner or customer()
    running = running or subscription(owner, price(amount_minor=amount_minor, currency=owner.currency))
    period = Period(running.current_period_start, running.current_period_end)
    with transaction.atomic():
        return invoices.issue_for_period(actor=SYSTEM, subscription=running, period=period, reason=reason, now=NOW)
