"""Words for billing's objects in the admin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from billing.models import Invoice, Payment, Price, Refund, Subscription
from core.admin.html import NOTHING, id_link, link, moment, money, state


def plan_of(subscription: Subscription) -> str:
    """Return what is subscribed to: "Internet, $29.85 per month". Read its items with price and product beforehand."""
    parts = []
    for item in subscription.items.all():
        times = f"{item.quantity} × " if item.quantity != 1 else ""
        parts.append(times + price_label(item.price))
    return "; ".join(parts) or NOTHING


def price_label(price: Price) -> str:
    """Return a price with its product: "Internet, $29.85 per month". Read its product beforehand."""
    return f"{price.product.name}, {price}"


def payment_rows(payments: Iterable[Payment]) -> list[Sequence[object]]:
    """Return payments as rows of a section: id, amount, status, method, moment."""
    return [
        (
            id_link(one),
            money(one.amount_minor, one.currency),
            state(one.status),
            str(one.payment_method),
            moment(one.created_at),
        )
        for one in payments
    ]


def refund_rows(refunds: Iterable[Refund]) -> list[Sequence[object]]:
    """Return refunds as rows of a section: id, amount, status, reason, moment."""
    return [
        (
            id_link(one),
            money(one.amount_minor, one.currency),
            state(one.status),
            one.get_reason_display(),
            moment(one.created_at),
        )
        for one in refunds
    ]


def invoice_rows(invoices: Iterable[Invoice]) -> list[Sequence[object]]:
    """Return invoices as rows of a section: number, total, status, due, moment."""
    return [
        (
            link(one),
            money(one.total_minor, one.currency),
            state(one.status),
            moment(one.due_at.date()) if one.due_at else NOTHING,
            moment(one.created_at),
        )
        for one in invoices
    ]
