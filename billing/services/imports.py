"""Importing customers with running subscriptions: one batch of rows is one command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing import events
from billing.imports.mapping import Mapping
from billing.imports.rows import Row
from billing.models import BillingEntity, Customer, PaymentMethod, Price, Product, Subscription, SubscriptionItem
from billing.permissions import CUSTOMER_IMPORT
from billing.services import products
from billing.services.changes import facts
from billing.states import Status
from core import cache
from core.access import require
from core.actor import Actor
from core.commands import command
from core.events import Entry, record_many
from core.money import Money

LARGEST_BATCH = 500


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of a batch."""

    created: int
    unchanged: int


def product_for(*, actor: Actor, mapping: Mapping) -> Product:
    """Return the product that imported prices belong to; made when there is none of that name."""
    found = Product.objects.filter(name=mapping.product).order_by("id").first()
    return found or products.create(actor=actor, name=mapping.product)


@command("billing.customer.import")
def import_batch(
    *,
    actor: Actor,
    billing_entity: BillingEntity,
    product: Product,
    mapping: Mapping,
    rows: Sequence[Row],
    now: datetime,
) -> Batch:
    """Write up to 500 rows: customers, payment methods and subscriptions, without past invoices. A customer that was
    imported already stays as it is, so that the same file can be imported again.

    Events: `billing.customer.imported` and `billing.subscription.imported` for each.
    """
    require(actor, CUSTOMER_IMPORT.name)
    assert len(rows) <= LARGEST_BATCH, "a batch is one transaction and must stay short"
    known = set(
        Customer.objects.filter(source=mapping.source, external_id__in=[row.external_id for row in rows]).values_list(
            "external_id", flat=True
        )
    )
    fresh = [row for row in rows if row.external_id not in known]
    prices = _prices(actor=actor, product=product, mapping=mapping, amounts={row.price for row in fresh})
    customers, methods, subscriptions, items = [], [], [], []
    for row in fresh:
        customer, method = _customer(billing_entity, mapping, row)
        subscription = _subscription(customer, mapping, row)
        customers.append(customer)
        methods.append(method)
        subscriptions.append(subscription)
        items.append(SubscriptionItem(subscription=subscription, price=prices[row.price]))
    # The foreign key to the payment method is checked at commit, so both can point at each other from the start.
    Customer.objects.bulk_create(customers)
    PaymentMethod.objects.bulk_create(methods)
    Subscription.objects.bulk_create(subscriptions)
    SubscriptionItem.objects.bulk_create(items)
    _record(actor=actor, subscriptions=subscriptions, items=items, now=now)
    return Batch(created=len(fresh), unchanged=len(rows) - len(fresh))


def _customer(billing_entity: BillingEntity, mapping: Mapping, row: Row) -> tuple[Customer, PaymentMethod]:
    customer = Customer(
        billing_entity=billing_entity,
        name=row.name,
        email=row.email,
        currency=mapping.currency,
        time_zone=mapping.time_zone,
        source=mapping.source,
        external_id=row.external_id,
    )
    method = PaymentMethod(
        customer=customer,
        provider=mapping.method_provider,
        provider_reference=row.method_reference,
        kind=row.method_kind,
        label=row.method_label,
    )
    customer.default_payment_method = method
    return customer, method


def _subscription(customer: Customer, mapping: Mapping, row: Row) -> Subscription:
    return Subscription(
        customer=customer,
        billing_entity_id=customer.billing_entity_id,
        status=Status.CANCELED if row.is_ended else Status.ACTIVE,
        currency=mapping.currency,
        time_zone=mapping.time_zone,
        started_at=row.started_at,
        billing_anchor=row.started_at,
        current_period_start=row.period.start,
        current_period_end=row.period.end,
        canceled_at=row.ended_at,
        ended_at=row.ended_at,
        is_end_known=not row.is_ended or row.ended_at is not None,
        term=row.term,
        source=mapping.source,
        external_id=row.external_id,
    )


def _prices(*, actor: Actor, product: Product, mapping: Mapping, amounts: set[Money]) -> dict[Money, Price]:
    """Return one unlisted price for each amount, made where there is none."""
    keys = {
        f"{mapping.source}:{money.currency}:{money.minor}:{mapping.interval_count}{mapping.interval}": money
        for money in amounts
    }
    found = {keys[price.lookup_key]: price for price in Price.objects.filter(lookup_key__in=keys) if price.lookup_key}
    made = [
        Price(
            product=product,
            amount_minor=money.minor,
            currency=money.currency,
            interval=mapping.interval,
            interval_count=mapping.interval_count,
            is_listed=False,
            lookup_key=key,
        )
        for key, money in keys.items()
        if money not in found
    ]
    if not made:
        return found
    Price.objects.bulk_create(made)
    cache.invalidate("catalogue_list")
    after = [facts(price, "product_id", "amount_minor", "currency", "interval", "interval_count") for price in made]
    entries = [
        Entry(events.PRICE_CREATED, actor=actor, subject=price, after=fact)
        for price, fact in zip(made, after, strict=True)
    ]
    record_many(entries)
    return found | {price.money: price for price in made}


def _record(*, actor: Actor, subscriptions: list[Subscription], items: list[SubscriptionItem], now: datetime) -> None:
    entries = []
    for subscription, item in zip(subscriptions, items, strict=True):
        customer = subscription.customer
        shared: dict[str, Any] = {"source": customer.source, "external_id": customer.external_id}
        after = {"name": customer.name, "currency": customer.currency}
        if customer.email:
            after["email"] = customer.email
        entries.append(
            Entry(
                events.CUSTOMER_IMPORTED,
                actor=actor,
                subject=customer,
                after=after,
                data=shared | {"subscription_id": subscription.pk},
                occurred_at=now,
            )
        )
        entries.append(
            Entry(
                events.SUBSCRIPTION_IMPORTED,
                actor=actor,
                subject=subscription,
                after={"status": subscription.status, "started_at": subscription.started_at},
                data=shared | {"customer_id": customer.pk, "price_id": item.price_id},
                occurred_at=now,
            )
        )
    record_many(entries)
