"""Billing's pages in the admin, one file per concept."""

from billing.admin import catalog, customers, finders, invoices, ledger, payments, subscriptions

__all__ = ["catalog", "customers", "finders", "invoices", "ledger", "payments", "subscriptions"]
