"""Subscriptions in the admin."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import Model, Prefetch, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from billing.admin.subscription_commands import SUBSCRIPTION_COMMANDS
from billing.admin.texts import invoice_rows, payment_rows, plan_of
from billing.models import Invoice, Payment, Subscription, SubscriptionItem
from billing.states import ENDED, Access
from core.admin import Empty, EntityAdmin, Figure, Section
from core.admin.html import NOTHING, link, moment, state
from core.exports.columns import Kind, exports_as

SHOWN = 10


@admin.register(Subscription)
class SubscriptionAdmin(EntityAdmin):
    list_display = ("identifier", "of_customer", "plan", "standing", "started", "period_end")
    list_filter = ("status", "access", "collection", "currency")
    search_by = ("external_id",)
    search_help_text = "Id or external id"
    related = ("customer", "pending_price__product")
    commands = SUBSCRIPTION_COMMANDS
    row_commands = ("pause", "resume", "cancel")
    facts = (
        "customer", "plan", "started_at", "trial_end", "current_period_start", "current_period_end", "collection",
        "time_zone", "term", "paused_at", "suspended_at", "suspended_reason", "canceled_at", "ended_at",
        "cancel_reason", "pending", "external_id", "source",
    )  # fmt: skip
    empty = Empty(
        "No subscriptions yet",
        "They come with imported customers, or when somebody subscribes through the API.",
        "python3 manage.py import_customers FILE --mapping MAPPING",
        "autorenew",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        items = SubscriptionItem.objects.select_related("price__product")
        return super().get_queryset(request).prefetch_related(Prefetch("items", items))

    @display(description="Customer")
    @exports_as(Kind.LINK)
    def of_customer(self, obj: Subscription) -> object:
        return link(obj.customer)

    @display(description="Plan")
    def plan(self, obj: Subscription) -> str:
        return plan_of(obj)

    @display(description="Status")
    def standing(self, obj: Subscription) -> object:
        return state("suspended") if obj.access == Access.SUSPENDED else state(obj.status)

    @display(description="Started")
    def started(self, obj: Subscription) -> object:
        return moment(obj.started_at.date())

    @display(description="Period ends")
    def period_end(self, obj: Subscription) -> object:
        return NOTHING if obj.status in ENDED else moment(obj.current_period_end.date())

    @display(description="Pending change")
    def pending(self, obj: Subscription) -> object:
        if obj.pending_price is None or obj.pending_effective_at is None:
            return None
        return f"{obj.pending_price.product.name}, {obj.pending_price}, from {obj.pending_effective_at:%d %b %Y}"

    def get_title(self, obj: Subscription) -> object:
        return f"Subscription of {obj.customer.name}"

    def get_states(self, obj: Subscription) -> Sequence[object]:
        states = [state(obj.status)]
        if obj.access == Access.SUSPENDED:
            states.append(state("suspended"))
        if obj.cancel_at_period_end:
            states.append(state("ends with the period", "warning"))
        if obj.pending_price_id is not None:
            states.append(state("plan change pending", "info"))
        return states

    def get_figures(self, request: HttpRequest, obj: Subscription) -> Sequence[Figure]:
        period = Figure(
            "Current period", moment(obj.current_period_start.date()), f"to {obj.current_period_end:%d %b %Y}"
        )
        if obj.status in ENDED:
            is_known = obj.is_end_known and obj.ended_at is not None
            period = Figure("Ended", moment(obj.ended_at.date()) if is_known and obj.ended_at else "day not known")
        return [
            Figure("Plan", plan_of(obj)),
            period,
            Figure("Runs since", moment(obj.started_at.date())),
        ]

    def get_subjects(self, obj: Subscription) -> Sequence[Model]:
        """Its story includes that of its newest invoices."""
        return [obj, *Invoice.objects.filter(lines__subscription=obj).distinct()[:SHOWN]]

    def get_sections(self, request: HttpRequest, obj: Subscription) -> Sequence[Section]:
        invoices = Invoice.objects.filter(lines__subscription=obj).distinct()[:SHOWN]
        payments = Payment.objects.filter(allocations__invoice__lines__subscription=obj).distinct()
        paid = payments.select_related("payment_method")[:SHOWN]
        return [
            Section(
                "Invoices",
                ("Number", "Total", "Status", "Due", "Made"),
                invoice_rows(invoices),
                empty="No invoice yet; the next renewal makes one.",
                icon="receipt_long",
                of=Invoice,
            ),
            Section(
                "Payments",
                ("Id", "Amount", "Status", "Method", "Made"),
                payment_rows(paid),
                empty="Nothing was paid yet.",
                icon="credit_card",
                of=Payment,
            ),
        ]
