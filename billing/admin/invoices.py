"""Invoices in the admin."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.decorators import display

from billing.admin.money_commands import INVOICE_COMMANDS
from billing.admin.texts import payment_rows
from billing.models import Invoice, Payment
from core.admin import Empty, EntityAdmin, Figure, Section
from core.admin.html import NOTHING, link, moment, money, state
from core.exports.columns import Kind, exports_as

SHOWN = 50


@admin.register(Invoice)
class InvoiceAdmin(EntityAdmin):
    list_display = ("invoice_number", "of_customer", "total_amount", "standing", "due", "identifier", "created")
    list_filter = ("status", "reason", "collection", "currency")
    search_by = ("number__startswith",)
    search_help_text = "Invoice number or id"
    related = ("customer",)
    commands = INVOICE_COMMANDS
    row_commands = ("void",)
    facts = (
        "invoice_number", "customer", "billing_entity", "reason", "collection", "finalized_at", "due_at", "paid_at",
        "voided_at", "uncollectible_at", "attempt_count", "last_failure_code",
    )  # fmt: skip
    empty = Empty(
        "No invoices yet",
        "They are made when a subscription begins and at each renewal. Imported subscriptions bring no past invoices.",
        icon="receipt_long",
    )

    @display(description="Number")
    def invoice_number(self, obj: Invoice) -> str:
        return obj.number or "Draft"

    @display(description="Customer")
    @exports_as(Kind.LINK)
    def of_customer(self, obj: Invoice) -> object:
        return link(obj.customer)

    @display(description="Total")
    @exports_as(Kind.MONEY)
    def total_amount(self, obj: Invoice) -> object:
        return money(obj.total_minor, obj.currency)

    @display(description="Status")
    def standing(self, obj: Invoice) -> object:
        return state(obj.status)

    @display(description="Due")
    def due(self, obj: Invoice) -> object:
        return moment(obj.due_at.date()) if obj.due_at else NOTHING

    def get_title(self, obj: Invoice) -> object:
        return f"Invoice {obj.number}" if obj.number else "Draft invoice"

    def get_states(self, obj: Invoice) -> Sequence[object]:
        return [state(obj.status)]

    def get_figures(self, request: HttpRequest, obj: Invoice) -> Sequence[Figure]:
        due = obj.amount_due_minor
        return [
            Figure("Total", money(obj.total_minor, obj.currency)),
            Figure("Paid", money(obj.amount_paid_minor, obj.currency)),
            Figure("To pay", money(due, obj.currency), tone="warning" if due else ""),
        ]

    def get_subjects(self, obj: Invoice) -> Sequence[Model]:
        """An invoice's story includes the payments that were meant for it."""
        return [obj, *Payment.objects.filter(allocations__invoice=obj)[:SHOWN]]

    def get_sections(self, request: HttpRequest, obj: Invoice) -> Sequence[Section]:
        lines = [
            (
                line.description,
                f"{line.period_start:%d %b %Y} – {line.period_end:%d %b %Y}" if line.period_start else NOTHING,
                line.quantity,
                money(line.amount_minor, line.currency),
                link(line.subscription, "subscription") if line.subscription_id else NOTHING,
            )
            for line in obj.lines.select_related("subscription")[:SHOWN]
        ]
        payments = Payment.objects.filter(allocations__invoice=obj).select_related("payment_method")[:SHOWN]
        return [
            Section("Lines", ("What", "Period", "Quantity", "Amount", "For"), lines, icon="list"),
            Section(
                "Payments",
                ("Id", "Amount", "Status", "Method", "Made"),
                payment_rows(payments),
                empty="Nobody has tried to pay it yet.",
                icon="credit_card",
                of=Payment,
            ),
        ]
