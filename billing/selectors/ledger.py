"""Questions to the books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection
from django.db.models import Sum

from billing.models import AccountCode, BillingEntity, Customer, LedgerLeg
from core.money import Money


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """What stands on all accounts of one code in one currency; debits positive."""

    code: str
    currency: str
    balance_minor: int


def trial_balance(entity: BillingEntity | None = None) -> list[AccountBalance]:
    """Return the balance per account code and currency, of one billing entity or of all."""
    legs = LedgerLeg.objects.all() if entity is None else LedgerLeg.objects.filter(account__billing_entity=entity)
    rows = legs.values_list("account__code", "currency").annotate(sum=Sum("amount_minor"))
    return [
        AccountBalance(code, currency, int(minor))
        for code, currency, minor in rows.order_by("currency", "account__code")
    ]


def totals(entity: BillingEntity | None = None) -> dict[str, int]:
    """Return the sum of all balances per currency: zero, or the books are wrong."""
    sums: dict[str, int] = {}
    for row in trial_balance(entity):
        sums[row.currency] = sums.get(row.currency, 0) + row.balance_minor
    return sums


def receivable(customer: Customer, currency: str) -> Money:
    """Return what the customer owes, as the books say."""
    legs = LedgerLeg.objects.filter(account__customer=customer, account__code=AccountCode.RECEIVABLE, currency=currency)
    return Money(int(legs.aggregate(sum=Sum("amount_minor"))["sum"] or 0), currency)


# Each query finds rows that should not be. The books are compared with what they were made from.
CHECKS: dict[str, str] = {
    "entries that do not balance": """
        SELECT entry_id::text, currency || ' ' || sum(amount_minor) FROM billing_ledgerleg
        GROUP BY entry_id, currency HAVING sum(amount_minor) <> 0""",
    "entries without legs": """
        SELECT e.id::text, e.entry_type FROM billing_ledgerentry e
        WHERE NOT EXISTS (SELECT 1 FROM billing_ledgerleg l WHERE l.entry_id = e.id)""",
    "finalised invoices whose receivable was not posted in full": """
        SELECT i.id::text, coalesce(i.number, '') FROM billing_invoice i
        LEFT JOIN (SELECT e.source_id, l.currency, sum(l.amount_minor) AS minor FROM billing_ledgerentry e
                   JOIN billing_ledgerleg l ON l.entry_id = e.id AND l.amount_minor > 0
                   WHERE e.entry_type = 'invoice_finalized' GROUP BY 1, 2) p ON p.source_id = i.id
        WHERE i.number IS NOT NULL AND i.total_minor <> 0
          AND (p.minor, p.currency) IS DISTINCT FROM (i.total_minor, i.currency)""",
    "succeeded payments that were not posted in full": """
        SELECT y.id::text, y.status FROM billing_payment y
        LEFT JOIN (SELECT e.source_id, l.currency, sum(l.amount_minor) AS minor FROM billing_ledgerentry e
                   JOIN billing_ledgerleg l ON l.entry_id = e.id AND l.amount_minor > 0
                   WHERE e.entry_type = 'payment_succeeded' GROUP BY 1, 2) p ON p.source_id = y.id
        WHERE CASE WHEN y.status = 'succeeded' THEN (p.minor, p.currency) IS DISTINCT FROM (y.amount_minor, y.currency)
                   ELSE p.minor IS NOT NULL END""",
    "succeeded refunds that were not posted in full": """
        SELECT r.id::text, r.status FROM billing_refund r
        LEFT JOIN (SELECT e.source_id, l.currency, sum(l.amount_minor) AS minor FROM billing_ledgerentry e
                   JOIN billing_ledgerleg l ON l.entry_id = e.id AND l.amount_minor > 0
                   WHERE e.entry_type = 'refund_succeeded' GROUP BY 1, 2) p ON p.source_id = r.id
        WHERE CASE WHEN r.status = 'succeeded' THEN (p.minor, p.currency) IS DISTINCT FROM (r.amount_minor, r.currency)
                   ELSE p.minor IS NOT NULL END""",
    "invoices whose paid amount is not what was allocated": """
        SELECT i.id::text, coalesce(i.number, '') FROM billing_invoice i
        LEFT JOIN (SELECT a.invoice_id, sum(a.amount_minor) AS minor FROM billing_paymentallocation a
                   JOIN billing_payment y ON y.id = a.payment_id AND y.status = 'succeeded' GROUP BY 1) p
          ON p.invoice_id = i.id
        WHERE i.amount_paid_minor <> coalesce(p.minor, 0)""",
    "payments whose refunded amount is not the sum of their refunds": """
        SELECT y.id::text, y.refunded_minor::text FROM billing_payment y
        LEFT JOIN (SELECT payment_id, sum(amount_minor) AS minor FROM billing_refund
                   WHERE status = 'succeeded' GROUP BY 1) r ON r.payment_id = y.id
        WHERE y.refunded_minor <> coalesce(r.minor, 0)""",
    "invoice numbers with gaps": """
        SELECT c.billing_entity_id::text, c.last_sequence || ' numbers, ' || count(i.id) || ' invoices'
        FROM billing_invoicecounter c LEFT JOIN billing_invoice i
          ON i.billing_entity_id = c.billing_entity_id AND i.sequence IS NOT NULL
        GROUP BY c.billing_entity_id, c.last_sequence
        HAVING count(i.id) <> c.last_sequence OR coalesce(max(i.sequence), 0) <> c.last_sequence""",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One row that should not be: which check found it, the row's id, and what is odd."""

    check: str
    id: str
    detail: str


def findings(*, limit: int = 100) -> Iterator[Finding]:
    """Yield what is wrong in the books, at most `limit` rows for each check; nothing when all is well."""
    with connection.cursor() as cursor:
        for check, query in CHECKS.items():
            cursor.execute(f"{query} LIMIT %s", [limit])
            for row_id, detail in cursor.fetchall():
                yield Finding(check, row_id, detail)
