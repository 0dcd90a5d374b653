"""Billing's pages in the admin, one file per concept."""

from billing.admin import catalog, customers, invoices, ledger, payments, subscriptions

__all__ = ["catalog", "customers", "invoices", "ledger", "payments", "subscriptions"]
