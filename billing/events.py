"""What can have happened in billing."""

from __future__ import annotations

from core.events import EventType

# Catalogue
PRODUCT_CREATED = EventType("billing.product.created", "product", "A product was created.")
PRODUCT_UPDATED = EventType("billing.product.updated", "product", "A product was changed.")
PRICE_CREATED = EventType("billing.price.created", "price", "A price was created.")
PRICE_UPDATED = EventType("billing.price.updated", "price", "A price was changed.")

# Customers
_PERSONAL = ("before.name", "before.email", "after.name", "after.email")
BILLING_ENTITY_CREATED = EventType("billing.billing_entity.created", "billing_entity", "A legal person was set up.")
CUSTOMER_CREATED = EventType("billing.customer.created", "customer", "A customer was created.", _PERSONAL)
CUSTOMER_UPDATED = EventType("billing.customer.updated", "customer", "A customer was changed.", _PERSONAL)
CUSTOMER_IMPORTED = EventType("billing.customer.imported", "customer", "A customer was imported.", _PERSONAL)
PAYMENT_METHOD_ADDED = EventType("billing.payment_method.added", "payment_method", "A payment method was added.")
PAYMENT_METHOD_DETACHED = EventType(
    "billing.payment_method.detached", "payment_method", "A payment method was taken out of use."
)


# Subscriptions
def _subscription(verb: str, text: str) -> EventType:
    return EventType(f"billing.subscription.{verb}", "subscription", text)


SUBSCRIPTION_CREATED = _subscription("created", "A subscription was created.")
SUBSCRIPTION_IMPORTED = _subscription("imported", "A subscription was imported.")
SUBSCRIPTION_STARTED = _subscription("started", "A scheduled subscription began.")
SUBSCRIPTION_ACTIVATED = _subscription("activated", "A payment came in, the subscription is active.")
SUBSCRIPTION_EXPIRED = _subscription("expired", "The first payment never came.")
SUBSCRIPTION_RENEWED = _subscription("renewed", "The next period began.")
SUBSCRIPTION_BECAME_PAST_DUE = _subscription("became_past_due", "A payment failed.")
SUBSCRIPTION_BECAME_UNPAID = _subscription("became_unpaid", "Every attempt to collect has failed.")
SUBSCRIPTION_PLAN_CHANGE_SCHEDULED = _subscription(
    "plan_change_scheduled", "Another price applies from the next period on."
)
SUBSCRIPTION_PLAN_CHANGE_WITHDRAWN = _subscription("plan_change_withdrawn", "The price stays as it is after all.")
SUBSCRIPTION_PLAN_CHANGED = _subscription("plan_changed", "Another price applies now.")
SUBSCRIPTION_CANCELLATION_SCHEDULED = _subscription("cancellation_scheduled", "It ends with its period.")
SUBSCRIPTION_CANCELLATION_UNDONE = _subscription("cancellation_undone", "It goes on after its period.")
SUBSCRIPTION_CANCELED = _subscription("canceled", "A subscription was cancelled.")
SUBSCRIPTION_PAUSED = _subscription("paused", "A subscription was paused.")
SUBSCRIPTION_RESUMED = _subscription("resumed", "A paused subscription goes on.")
SUBSCRIPTION_SUSPENDED = _subscription("suspended", "Access was suspended.")
SUBSCRIPTION_UNSUSPENDED = _subscription("unsuspended", "Access was granted again.")
SUBSCRIPTION_REACTIVATED = _subscription("reactivated", "A cancelled subscription runs again.")


# Invoices
INVOICE_FINALIZED = EventType("billing.invoice.finalized", "invoice", "An invoice got its number and is to be paid.")
INVOICE_PAID = EventType("billing.invoice.paid", "invoice", "An invoice was paid in full.")
INVOICE_PARTLY_PAID = EventType("billing.invoice.partly_paid", "invoice", "A part of an invoice was paid.")
INVOICE_VOIDED = EventType("billing.invoice.voided", "invoice", "An invoice was voided.")
INVOICE_WRITTEN_OFF = EventType("billing.invoice.written_off", "invoice", "An invoice is not collected any more.")
INVOICE_COLLECTION_FAILED = EventType("billing.invoice.collection_failed", "invoice", "An invoice was not collected.")

# Payments and refunds
PAYMENT_SUCCEEDED = EventType("billing.payment.succeeded", "payment", "A payment came in.")
PAYMENT_FAILED = EventType("billing.payment.failed", "payment", "A payment was declined.")
PAYMENT_ANSWER_LOST = EventType(
    "billing.payment.answer_lost", "payment", "What became of a payment is not known; the provider is asked."
)
PAYMENT_REFUNDED = EventType("billing.payment.refunded", "payment", "A payment, or a part of it, was given back.")
REFUND_SUCCEEDED = EventType("billing.refund.succeeded", "refund", "Money was given back.")
REFUND_FAILED = EventType("billing.refund.failed", "refund", "The provider refused to give money back.")
