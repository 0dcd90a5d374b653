"""Prices: create, update. What a price costs never changes once a subscription uses it."""

from __future__ import annotations

from typing import Any

from billing import events
from billing.errors import PriceInUse
from billing.models import Price, Product
from billing.permissions import PRICE_MANAGE
from billing.services.changes import Watch, facts
from core import cache
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import InvalidInput
from core.events import record
from core.money import Money, is_currency

_PROMISED = ("amount_minor", "currency", "interval", "interval_count")
_FREE = ("is_listed", "is_active", "lookup_key", "trial_days")


@command("billing.price.create")
def create(
    *,
    actor: Actor,
    product: Product,
    money: Money,
    interval: str = "month",
    interval_count: int = 1,
    trial_days: int = 0,
    is_listed: bool = True,
    lookup_key: str | None = None,
) -> Price:
    """Create a price of `product`: `money` for each unit and `interval_count` intervals.

    Raises `InvalidInput` for an unknown currency or a lookup key that is taken. Event: `billing.price.created`.
    """
    require(actor, PRICE_MANAGE.name)
    _check_currency(money.currency)
    _check_lookup_key(lookup_key)
    price = Price.objects.create(
        product=product,
        amount_minor=money.minor,
        currency=money.currency,
        interval=interval,
        interval_count=interval_count,
        trial_days=trial_days,
        is_listed=is_listed,
        lookup_key=lookup_key or None,
    )
    cache.invalidate("catalogue_list")
    record(events.PRICE_CREATED, actor=actor, subject=price, after=facts(price, "product_id", *_PROMISED, *_FREE))
    return price


@command("billing.price.update")
def update(*, actor: Actor, price: Price, changes: dict[str, Any]) -> Price:
    """Change a price. Raises `PriceInUse` when amount, currency or interval of a used one would change.

    Event: `billing.price.updated`, when anything differs.
    """
    require(actor, PRICE_MANAGE.name)
    price = price.refreshed_for_update()
    watch = Watch(price, *_PROMISED, *_FREE)
    for field, value in changes.items():
        assert field in (*_PROMISED, *_FREE), f"{field} is no field of a price that can be changed"
        setattr(price, field, value)
    changed = watch.fields
    if not changed:
        return price
    if set(changed) & set(_PROMISED) and price.subscription_items.exists():
        raise PriceInUse(
            "Amount, currency and interval of a price cannot change once it is used: create another price.",
            fields=[field for field in changed if field in _PROMISED],
        )
    if "currency" in changed:
        _check_currency(price.currency)
    if "lookup_key" in changed:
        _check_lookup_key(price.lookup_key)
    price.save(update_fields=changed)
    cache.invalidate("catalogue_list")
    record(events.PRICE_UPDATED, actor=actor, subject=price, before=watch.before, after=watch.after)
    return price


def _check_currency(code: str) -> None:
    if not is_currency(code):
        raise InvalidInput.at("/currency", f"{code!r} is no ISO 4217 currency.", "invalid_currency")


def _check_lookup_key(key: str | None) -> None:
    if key and Price.objects.filter(lookup_key=key).exists():
        raise InvalidInput.at("/lookup_key", f"{key!r} is taken by another price.", "taken")
