"""The books: accounts, entries and their legs. Double entry, append-only, balanced per entry and currency."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from billing.models.customers import Customer
from billing.models.entities import BillingEntity
from core.models import AppendOnly, Entity


class AccountCode(models.TextChoices):
    """The chart of accounts. A debit is positive, a credit negative."""

    RECEIVABLE = "receivable", "Receivable"  # asset, one per customer: what the customer owes
    CASH_CLEARING = "cash_clearing", "Cash clearing"  # asset, one per provider: what it holds for us
    CUSTOMER_CREDIT = "customer_credit", "Customer credit"  # liability, one per customer: what we owe the customer
    REVENUE = "revenue", "Revenue"  # income
    REFUNDS = "refunds", "Refunds"  # reduces income
    BAD_DEBT = "bad_debt", "Bad debt"  # expense


class EntryType(models.TextChoices):
    """What happened in the business that moved money."""

    INVOICE_FINALIZED = "invoice_finalized", "Invoice finalised"
    INVOICE_VOIDED = "invoice_voided", "Invoice voided"
    INVOICE_WRITTEN_OFF = "invoice_written_off", "Invoice written off"
    PAYMENT_SUCCEEDED = "payment_succeeded", "Payment succeeded"
    REFUND_SUCCEEDED = "refund_succeeded", "Refund succeeded"


class LedgerAccount(Entity):
    """One account of one billing entity in one currency; of one customer or one provider where the code says so."""

    id_prefix = "la"
    organization_path = None

    billing_entity = models.ForeignKey(BillingEntity, on_delete=models.PROTECT, related_name="ledger_accounts")
    code = models.CharField(max_length=20, choices=AccountCode.choices)
    currency = models.CharField(max_length=3, help_text="ISO 4217.")
    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.PROTECT, related_name="ledger_accounts"
    )
    provider = models.CharField(max_length=30, blank=True, default="")

    class Meta:
        verbose_name = "ledger account"
        ordering = ["code", "currency", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["billing_entity", "code", "currency", "customer", "provider"],
                name="billing_ledger_account_once",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(fields=["id", "currency"], name="billing_ledger_account_currency"),
            models.CheckConstraint(
                name="billing_ledger_account_owner",
                condition=Q(code__in=["receivable", "customer_credit"], customer__isnull=False, provider="")
                | (Q(code="cash_clearing", customer__isnull=True) & ~Q(provider=""))
                | Q(code__in=["revenue", "refunds", "bad_debt"], customer__isnull=True, provider=""),
            ),
        ]


class LedgerEntry(Entity, AppendOnly):
    """One movement of money, about one object: `source_type` and `source_id` name it (no foreign key, so that any
    kind of object can be the reason). The same thing about the same object is posted once."""

    id_prefix = "le"
    organization_path = None

    billing_entity = models.ForeignKey(BillingEntity, on_delete=models.PROTECT, related_name="ledger_entries")
    entry_type = models.CharField(max_length=30, choices=EntryType.choices)
    source_type = models.CharField(max_length=30)
    source_id = models.UUIDField()
    occurred_at = models.DateTimeField(help_text="When it happened in the business; posted `created_at`.")
    command_id = models.UUIDField(null=True, blank=True, help_text="Of the events that tell of it.")

    class Meta:
        verbose_name = "ledger entry"
        verbose_name_plural = "ledger entries"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["source_id"], name="billing_le_source"),
            models.Index(fields=["billing_entity", "occurred_at"], name="billing_le_occurred"),
        ]
        constraints = [models.UniqueConstraint(fields=["entry_type", "source_id"], name="billing_ledger_posted_once")]


class LedgerLeg(AppendOnly):
    """One side of an entry: a debit when positive, a credit when negative. All legs of an entry sum to zero in each
    currency, or the transaction does not commit. The database keeps the currency equal to the account's."""

    entry = models.ForeignKey(LedgerEntry, on_delete=models.PROTECT, related_name="legs")
    # A foreign key over (account, currency) in the migration takes the place of Django's own.
    account = models.ForeignKey(LedgerAccount, on_delete=models.PROTECT, related_name="legs", db_constraint=False)
    currency = models.CharField(max_length=3, help_text="ISO 4217.")
    amount_minor = models.BigIntegerField(help_text="Minor units; debits positive, credits negative.")

    class Meta:
        verbose_name = "ledger leg"
        ordering = ["id"]
        constraints = [models.CheckConstraint(name="billing_ledger_leg_not_zero", condition=~Q(amount_minor=0))]

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency}"
