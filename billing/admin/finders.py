"""How the box on every page finds what billing keeps: each by an index, by the beginning of what is typed."""

from __future__ import annotations

from collections.abc import Iterable

from billing.models import Customer, Invoice
from core.admin.html import admin_url, state_tone
from core.admin.lists import begins_with, contains
from core.palette import Finding, finder


@finder("Customers", icon="groups", order=10)
def customers(term: str, limit: int) -> Iterable[Finding]:
    """By the beginning of name, e-mail address or the id they had where they came from; then by a part of the name."""
    rows = Customer.objects.order_by()
    found: dict[object, Customer] = {}
    for asked in (
        begins_with(rows, "external_id", term),
        begins_with(rows, "email", term),
        begins_with(rows, "name", term),
        contains(rows, "name", term),
    ):
        for customer in asked[:limit]:
            found.setdefault(customer.pk, customer)
        if len(found) >= limit:
            break
    for customer in found.values():
        others = (customer.email, customer.external_id, customer.public_id)
        about = " · ".join(part for part in others if part and part != customer.name)
        yield Finding(customer.name, about, admin_url(customer))


@finder("Invoices", icon="receipt_long", order=20)
def invoices(term: str, limit: int) -> Iterable[Finding]:
    """By the beginning of their number."""
    rows = Invoice.objects.filter(number__startswith=term.upper()).select_related("customer").order_by("number")
    for invoice in rows[:limit]:
        about = f"{invoice.total} · {invoice.customer.name}"
        yield Finding(
            f"Invoice {invoice.number}", about, admin_url(invoice), invoice.status, state_tone(invoice.status)
        )
