"""The tables of billing, one file per concept."""

from billing.models.catalog import Interval, Price, Product
from billing.models.customers import Customer, PaymentMethod, PaymentMethodKind
from billing.models.entities import BillingEntity
from billing.models.invoices import Invoice, InvoiceCounter, InvoiceLine, InvoiceReason, LineKind
from billing.models.ledger import AccountCode, EntryType, LedgerAccount, LedgerEntry, LedgerLeg
from billing.models.payments import Payment, PaymentAllocation, Refund, RefundReason
from billing.models.subscriptions import Subscription, SubscriptionItem

__all__ = [
    "AccountCode",
    "BillingEntity",
    "Customer",
    "EntryType",
    "Interval",
    "Invoice",
    "InvoiceCounter",
    "InvoiceLine",
    "InvoiceReason",
    "LedgerAccount",
    "LedgerEntry",
    "LedgerLeg",
    "LineKind",
    "Payment",
    "PaymentAllocation",
    "PaymentMethod",
    "PaymentMethodKind",
    "Price",
    "Product",
    "Refund",
    "RefundReason",
    "Subscription",
    "SubscriptionItem",
]
