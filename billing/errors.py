"""What billing refuses. A transition that the state forbids is `core.errors.InvalidTransition`."""

from __future__ import annotations

from core.errors import Conflict, RuleBroken

# Catalogue


class PriceInUse(Conflict):
    """Amount, currency and interval of a price are a promise to those who subscribed to it."""

    code, title = "price_in_use", "Subscriptions use this price"


class PriceNotAvailable(RuleBroken):
    """It is archived, or unlisted and the actor is not staff."""

    code, title = "price_not_available", "The price is not available"


# Customers


class CurrencyMismatch(RuleBroken):
    code, title = "currency_mismatch", "Customer and price have different currencies"


class CurrencyFixed(Conflict):
    """What was subscribed or invoiced in one currency stays in it."""

    code, title = "currency_fixed", "The customer's currency cannot change any more"


# Subscriptions


class ProrationNotAvailable(RuleBroken):
    code, title = "proration_not_available", "A plan changes at the next renewal only"


class MixedIntervals(RuleBroken):
    code, title = "mixed_intervals", "All prices of a subscription must have the same period"


class SeveralItems(RuleBroken):
    code, title = "several_items", "The subscription has several items"


class NothingToChange(RuleBroken):
    code, title = "nothing_to_change", "The subscription has this plan already"
