"""Customers and their payment methods."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from accounts.models import Organization
from billing import events, providers
from billing.errors import CurrencyFixed
from billing.models import BillingEntity, Customer, PaymentMethod, PaymentMethodKind
from billing.permissions import CUSTOMER_CREATE, CUSTOMER_EDIT, PAYMENT_METHOD_MANAGE
from billing.services.changes import Watch, facts
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import InvalidInput
from core.events import record
from core.money import is_currency
from core.time_zones import is_time_zone

_FIELDS = ("name", "email", "currency", "time_zone", "default_payment_method_id")


@command("billing.customer.create")
def create(
    *,
    actor: Actor,
    organization: Organization | None,
    billing_entity: BillingEntity,
    name: str,
    email: str = "",
    currency: str | None = None,
    time_zone: str = "UTC",
) -> Customer:
    """Create a customer; its currency is the billing entity's unless given.

    Only staff create one that belongs to no organisation. Raises `InvalidInput` for an unknown currency or time zone.
    Event: `billing.customer.created`.
    """
    require(actor, CUSTOMER_CREATE.name, Customer(organization=organization))
    _check(currency=currency, time_zone=time_zone)
    customer = Customer.objects.create(
        organization=organization,
        billing_entity=billing_entity,
        name=name,
        email=email,
        currency=currency or billing_entity.default_currency,
        time_zone=time_zone,
    )
    after = facts(customer, "billing_entity_id", *_FIELDS)
    record(events.CUSTOMER_CREATED, actor=actor, subject=customer, after=after)
    return customer


@command("billing.customer.update")
def update(*, actor: Actor, customer: Customer, changes: dict[str, Any]) -> Customer:
    """Change a customer. Raises `CurrencyFixed` when it has subscriptions, `InvalidInput` for a payment method that is
    not its own. Event: `billing.customer.updated`, when anything differs."""
    require(actor, CUSTOMER_EDIT.name, customer)
    customer = customer.refreshed_for_update()
    watch = Watch(customer, *_FIELDS)
    for field, value in changes.items():
        if field == "default_payment_method":
            _check_method(customer, value)
        else:
            assert field in _FIELDS, f"{field} is no field of a customer that can be changed"
        setattr(customer, field, value)
    changed = watch.fields
    if not changed:
        return customer
    _check(currency=customer.currency, time_zone=customer.time_zone)
    if "currency" in changed and customer.subscriptions.exists():
        raise CurrencyFixed("The customer has subscriptions in its currency; it cannot change any more.")
    customer.save(update_fields=changed)
    record(events.CUSTOMER_UPDATED, actor=actor, subject=customer, before=watch.before, after=watch.after)
    return customer


@command("billing.payment_method.add")
def add_payment_method(
    *,
    actor: Actor,
    customer: Customer,
    provider_reference: str,
    provider: str = "sandbox",
    kind: str = PaymentMethodKind.CARD,
    label: str = "",
    is_default: bool = True,
) -> PaymentMethod:
    """Add a means of payment that the provider knows as `provider_reference`; adding it again brings it back.

    The first one becomes the default in any case. Event: `billing.payment_method.added`. Raises ProviderMisconfigured
    when no payment may go by the provider.
    """
    require(actor, PAYMENT_METHOD_MANAGE.name, customer)
    providers.check_takes_payments(provider)
    customer = customer.refreshed_for_update()
    method, _ = PaymentMethod.objects.update_or_create(
        customer=customer,
        provider=provider,
        provider_reference=provider_reference,
        defaults={"kind": kind, "label": label, "detached_at": None},
    )
    if is_default or customer.default_payment_method_id is None:
        customer.default_payment_method = method
        customer.save(update_fields=["default_payment_method"])
    after = facts(method, "customer_id", "provider", "kind", "label") | {"is_default": is_default}
    record(events.PAYMENT_METHOD_ADDED, actor=actor, subject=method, after=after)
    return method


@command("billing.payment_method.detach")
def detach_payment_method(*, actor: Actor, payment_method: PaymentMethod, now: datetime) -> PaymentMethod:
    """Take a means of payment out of use; a customer whose default it was has none. Detaching it again does nothing.

    Event: `billing.payment_method.detached`.
    """
    require(actor, PAYMENT_METHOD_MANAGE.name, payment_method)
    customer = payment_method.customer.refreshed_for_update()
    payment_method = payment_method.refreshed_for_update()
    if payment_method.detached_at is not None:
        return payment_method
    payment_method.detached_at = now
    payment_method.save(update_fields=["detached_at"])
    if customer.default_payment_method_id == payment_method.pk:
        customer.default_payment_method = None
        customer.save(update_fields=["default_payment_method"])
    record(
        events.PAYMENT_METHOD_DETACHED,
        actor=actor,
        subject=payment_method,
        before={"detached_at": None},
        after={"detached_at": now},
        occurred_at=now,
    )
    return payment_method


def _check(*, currency: str | None, time_zone: str) -> None:
    if currency is not None and not is_currency(currency):
        raise InvalidInput.at("/currency", f"{currency!r} is no ISO 4217 currency.", "invalid_currency")
    if not is_time_zone(time_zone):
        raise InvalidInput.at("/time_zone", f"{time_zone!r} is no IANA time zone.", "unknown_time_zone")


def _check_method(customer: Customer, method: PaymentMethod | None) -> None:
    if method is not None and (method.customer_id != customer.pk or method.detached_at is not None):
        raise InvalidInput.at(
            "/default_payment_method_id", "It is no payment method in use of this customer.", "not_of_customer"
        )
