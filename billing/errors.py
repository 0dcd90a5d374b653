"""What billing refuses. A transition that the state forbids is `core.errors.InvalidTransition`."""

from __future__ import annotations

from core.errors import Conflict, ProviderRejected, RuleBroken

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


class TrialAlreadyUsed(RuleBroken):
    """A customer tries a product once. `trial_days` 0 subscribes without a trial; staff may grant another one."""

    code, title = "trial_already_used", "The customer has had a trial of this product"


class NothingToChange(RuleBroken):
    code, title = "nothing_to_change", "The subscription has this plan already"


# Invoices


class InvoiceAlreadyPaid(Conflict):
    code, title = "invoice_already_paid", "The invoice is paid"


class InvoicePartlyPaid(Conflict):
    """What was paid has to be refunded first."""

    code, title = "invoice_partly_paid", "A part of the invoice is paid"


class PeriodAlreadyInvoiced(Conflict):
    """The database holds one invoice for a subscription and a period."""

    code, title = "period_already_invoiced", "The period has an invoice already"


# Payments


class PaymentInProgress(Conflict):
    """Another payment of the invoice waits for its answer; it may turn out to have paid it."""

    code, title, is_retryable = "payment_in_progress", "Another payment is under way", True


class AmountTooLarge(RuleBroken):
    code, title = "amount_too_large", "The amount is larger than what is left"


class PaymentCurrencyMismatch(RuleBroken):
    code, title = "payment_currency_mismatch", "The invoice is in another currency"


class PaymentMethodUnusable(RuleBroken):
    """There is none, it is detached, or it belongs to another customer."""

    code, title = "payment_method_unusable", "The payment method cannot be used"


class PaymentDeclined(ProviderRejected):
    """The provider said no. The payment is kept as failed; `decline_code` says why."""

    code, title = "payment_declined", "The payment was declined"


# Refunds


class RefundRejected(ProviderRejected):
    """The provider said no. The refund is kept as failed."""

    code, title = "refund_rejected", "The refund was rejected"
