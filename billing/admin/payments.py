"""Payments and refunds in the admin."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.decorators import display

from billing.admin.money_commands import PAYMENT_COMMANDS
from billing.admin.texts import refund_rows
from billing.models import Invoice, Payment, Refund
from core.admin import Empty, EntityAdmin, Figure, Section
from core.admin.html import NOTHING, link, money, state
from core.exports.columns import Kind, exports_as

SHOWN = 50
_TRANSFER_FACTS = (
    "provider",
    "provider_reference",
    "failure",
    "failure_code",
    "attempt_count",
    "succeeded_at",
    "failed_at",
)


class TransferAdmin(EntityAdmin):
    """What payments and refunds share."""

    list_filter = ("status", "currency", "provider")

    @display(description="Amount")
    @exports_as(Kind.MONEY)
    def amount(self, obj: Payment | Refund) -> object:
        return money(obj.amount_minor, obj.currency)

    @display(description="Status")
    def standing(self, obj: Payment | Refund) -> object:
        return state(obj.status)

    @display(description="Failure")
    def failure(self, obj: Payment | Refund) -> object:
        return obj.failure_message or obj.failure_code.replace("_", " ") or NOTHING

    def get_states(self, obj: Payment | Refund) -> Sequence[object]:
        return [state(obj.status)]


@admin.register(Payment)
class PaymentAdmin(TransferAdmin):
    list_display = ("amount", "standing", "of_customer", "method", "failure", "identifier", "created")
    search_by = ()
    search_help_text = "Id of the payment"
    related = ("customer", "payment_method")
    commands = PAYMENT_COMMANDS
    row_commands = ("refund",)
    facts = ("customer", "billing_entity", "method", *_TRANSFER_FACTS, "created_at")
    empty = Empty("No payments yet", "A payment is made when an invoice is collected.", icon="credit_card")

    @display(description="Customer")
    @exports_as(Kind.LINK)
    def of_customer(self, obj: Payment) -> object:
        return link(obj.customer)

    @display(description="Method")
    def method(self, obj: Payment) -> str:
        return str(obj.payment_method)

    def get_title(self, obj: Payment) -> object:
        return f"Payment of {obj.money}"

    def get_states(self, obj: Payment) -> Sequence[object]:  # type: ignore[override]
        refunded = obj.refunded_minor
        words = [state(obj.status)]
        if refunded:
            words.append(state("refunded" if refunded == obj.amount_minor else "refunded in part", "neutral"))
        return words

    def get_figures(self, request: HttpRequest, obj: Payment) -> Sequence[Figure]:
        return [
            Figure("Amount", money(obj.amount_minor, obj.currency)),
            Figure("Refunded", money(obj.refunded_minor, obj.currency)),
            Figure("Kept", money(obj.amount_minor - obj.refunded_minor, obj.currency)),
        ]

    def get_subjects(self, obj: Payment) -> Sequence[Model]:
        return [obj, *obj.refunds.all()[:SHOWN]]

    def get_sections(self, request: HttpRequest, obj: Payment) -> Sequence[Section]:
        invoices = [
            (link(one.invoice), money(one.amount_minor, obj.currency), state(one.invoice.status))
            for one in obj.allocations.select_related("invoice")[:SHOWN]
        ]
        return [
            Section("Pays for", ("Invoice", "Amount", "Status"), invoices, icon="receipt_long", of=Invoice),
            Section(
                "Refunds",
                ("Id", "Amount", "Status", "Reason", "Made"),
                refund_rows(obj.refunds.all()[:SHOWN]),
                empty="Nothing was given back.",
                icon="undo",
                of=Refund,
            ),
        ]


@admin.register(Refund)
class RefundAdmin(TransferAdmin):
    list_display = ("amount", "standing", "of_customer", "reason", "of_payment", "identifier", "created")
    list_filter = ("status", "reason", "currency")
    search_by = ()
    search_help_text = "Id of the refund"
    related = ("payment__customer",)
    facts = ("of_customer", "payment", "reason", "note", *_TRANSFER_FACTS, "created_at")
    empty = Empty("No refunds yet", "A payment is refunded from its own page, by the command Refund.", icon="undo")

    @display(description="Customer")
    @exports_as(Kind.LINK)
    def of_customer(self, obj: Refund) -> object:
        return link(obj.payment.customer)

    @display(description="Payment")
    @exports_as(Kind.LINK)
    def of_payment(self, obj: Refund) -> object:
        return link(obj.payment, str(obj.payment.money))

    def get_title(self, obj: Refund) -> object:
        return f"Refund of {obj.money}"
