"""The catalogue as an actor sees it: staff everything, the signed-in what is on offer."""

from __future__ import annotations

from django.db.models import QuerySet

from billing.models import BillingEntity, Price, Product
from core import ids
from core.actor import Actor
from core.errors import InvalidInput, NotFound


def products(actor: Actor) -> QuerySet[Product]:
    """Return the products that `actor` sees."""
    if actor.is_staff or actor.is_system:
        return Product.objects.all()
    if actor.is_anonymous:
        return Product.objects.none()
    return Product.objects.filter(is_active=True)


def prices(actor: Actor) -> QuerySet[Price]:
    """Return the prices that `actor` sees: unlisted ones are for staff."""
    known = Price.objects.select_related("product")
    if actor.is_staff or actor.is_system:
        return known
    if actor.is_anonymous:
        return known.none()
    return known.filter(is_active=True, is_listed=True, product__is_active=True)


def sole_billing_entity(text: str | None = None) -> BillingEntity | None:
    """Return the billing entity named by public id or invoice prefix; without a name the only one, None when there is
    none yet. Raises `NotFound`, or `InvalidInput` when several could be meant."""
    if text:
        found = BillingEntity.objects.filter(invoice_prefix=text).first()
        if found is None:
            try:
                found = BillingEntity.objects.filter(pk=ids.decode("be", text)).first()
            except ids.MalformedId:
                found = None
        if found is None:
            raise NotFound(f"There is no billing entity {text!r}.")
        return found
    some = list(BillingEntity.objects.order_by("id")[:2])
    if len(some) > 1:
        raise InvalidInput.at("/billing_entity_id", "There are several billing entities: name one.", "choose_one")
    return some[0] if some else None
