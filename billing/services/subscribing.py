"""Subscribing and paying in one request: a durable command of two committed steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from billing.models import Customer, Invoice, PaymentMethod, Subscription
from billing.permissions import SUBSCRIPTION_CREATE
from billing.services import payments, subscriptions
from billing.services.beginnings import Line
from billing.services.transfers import one_for_each_key
from billing.states import Collection, Status
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import InvalidInput


@command("billing.subscription.subscribe", is_durable=True)
def subscribe(
    *,
    actor: Actor,
    customer: Customer,
    lines: Sequence[Line],
    operation_key: str,
    now: datetime,
    starts_at: datetime | None = None,
    trial_days: int | None = None,
    collection: str = Collection.AUTOMATIC,
    term: str = "",
    payment_method: PaymentMethod | None = None,
) -> Subscription:
    """Create a subscription and charge its first invoice to `payment_method`, else to the customer's default one.

    Without a payment method, or when the charge fails, the subscription waits (`incomplete`) for its invoice to be
    paid. The same `operation_key` again goes on where it stopped: one subscription, one charge. Raises and records as
    `subscriptions.create` and `payments.create` do.
    """
    require(actor, SUBSCRIPTION_CREATE.name, customer)
    if payment_method is not None and payment_method.customer_id != customer.pk:
        raise InvalidInput.at("/payment_method_id", "It is no payment method of this customer.", "not_of_customer")
    subscription = Subscription.objects.filter(operation_key=operation_key).first()
    if subscription is None:
        with one_for_each_key():
            subscription = subscriptions.create(
                actor=actor,
                customer=customer,
                lines=lines,
                now=now,
                starts_at=starts_at,
                trial_days=trial_days,
                collection=collection,
                term=term,
                operation_key=operation_key,
            )
    method = payment_method or customer.default_payment_method
    invoice = Invoice.objects.filter(lines__subscription=subscription, status="open").order_by("id").first()
    is_charged = collection == Collection.AUTOMATIC and method is not None and invoice is not None
    if subscription.status == Status.INCOMPLETE and is_charged and invoice is not None:
        payments.create(
            actor=actor, invoice=invoice, payment_method=method, operation_key=f"{operation_key}:first", now=now
        )
    return Subscription.objects.select_related("customer").prefetch_related("items").get(pk=subscription.pk)
