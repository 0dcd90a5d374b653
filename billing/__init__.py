"""Catalogue, subscriptions, invoices, payments and the ledger."""
