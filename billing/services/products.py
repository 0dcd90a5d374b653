"""Products: create, update."""

from __future__ import annotations

from typing import Any

from billing import events
from billing.models import Product
from billing.permissions import PRODUCT_MANAGE
from billing.services.changes import Watch, facts
from core import cache
from core.access import require
from core.actor import Actor
from core.commands import command
from core.events import record

_FIELDS = ("name", "description", "is_active")


@command("billing.product.create")
def create(*, actor: Actor, name: str, description: str = "", is_active: bool = True) -> Product:
    """Create a product. Event: `billing.product.created`."""
    require(actor, PRODUCT_MANAGE.name)
    product = Product.objects.create(name=name, description=description, is_active=is_active)
    cache.invalidate("catalogue_list")
    record(events.PRODUCT_CREATED, actor=actor, subject=product, after=facts(product, *_FIELDS))
    return product


@command("billing.product.update")
def update(*, actor: Actor, product: Product, changes: dict[str, Any]) -> Product:
    """Change name, description or availability. Event: `billing.product.updated`, when anything differs."""
    require(actor, PRODUCT_MANAGE.name)
    product = product.refreshed_for_update()
    watch = Watch(product, *_FIELDS)
    for field, value in changes.items():
        assert field in _FIELDS, f"{field} is no field of a product that can be changed"
        setattr(product, field, value)
    if watch.fields:
        product.save(update_fields=watch.fields)
        cache.invalidate("catalogue_list")
        record(events.PRODUCT_UPDATED, actor=actor, subject=product, before=watch.before, after=watch.after)
    return product
