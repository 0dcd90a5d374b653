"""Billing entities: set up who sells."""

from __future__ import annotations

from billing import events
from billing.models import BillingEntity
from billing.permissions import BILLING_ENTITY_MANAGE
from billing.services.changes import facts
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import InvalidInput
from core.events import record
from core.money import is_currency


@command("billing.billing_entity.create")
def create(*, actor: Actor, legal_name: str, country: str, default_currency: str, invoice_prefix: str) -> BillingEntity:
    """Set up a legal person that issues invoices. Raises `InvalidInput` for an unknown currency, and for an invoice
    prefix that another one has. Event: `billing.billing_entity.created`."""
    require(actor, BILLING_ENTITY_MANAGE.name)
    if not is_currency(default_currency):
        raise InvalidInput.at("/default_currency", f"{default_currency!r} is no ISO 4217 currency.", "invalid_currency")
    if BillingEntity.objects.filter(invoice_prefix=invoice_prefix).exists():
        raise InvalidInput.at("/invoice_prefix", f"{invoice_prefix!r} is taken by another billing entity.", "taken")
    entity = BillingEntity.objects.create(
        legal_name=legal_name, country=country, default_currency=default_currency, invoice_prefix=invoice_prefix
    )
    after = facts(entity, "legal_name", "country", "default_currency", "invoice_prefix")
    record(events.BILLING_ENTITY_CREATED, actor=actor, subject=entity, after=after)
    return entity
