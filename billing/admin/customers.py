"""Customers in the admin: one page with all that is known of one."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import F, Model, Prefetch, QuerySet, Sum
from django.http import HttpRequest
from unfold.decorators import display

from accounts.models import Membership
from billing.admin.texts import invoice_rows, payment_rows, plan_of
from billing.models import Customer, Invoice, Payment, PaymentMethod, Refund, Subscription, SubscriptionItem
from billing.money_states import InvoiceStatus, TransferStatus
from billing.states import ENDED, REVENUE
from core.admin import Empty, EntityAdmin, Figure, Section
from core.admin.html import NOTHING, id_link, link, list_url, moment, money, state
from core.exports.columns import Kind, exports_as

SHOWN = 10


@admin.register(Customer)
class CustomerAdmin(EntityAdmin):
    list_display = ("name", "address", "external_id", "standing", "of_organization", "identifier", "created")
    list_filter = ("currency", "source")
    search_by = ("^email", "^external_id", "~name", "^name")
    search_help_text = "Name, e-mail, external id or id"
    related = ("organization",)
    facts = (
        "name", "address", "of_organization", "billing_entity", "currency", "time_zone",
        "default_payment_method", "external_id", "source", "created_at",
    )  # fmt: skip
    empty = Empty(
        "No customers yet",
        "Bring the ones you have from a CSV file; a small mapping file says which column is what.",
        "python3 manage.py import_customers FILE --mapping MAPPING",
        "groups",
    )

    @display(description="E-mail")
    def address(self, obj: Customer) -> str:
        return obj.email or NOTHING

    @display(description="Organisation")
    @exports_as(Kind.LINK)
    def of_organization(self, obj: Customer) -> object:
        return link(obj.organization)

    @display(description="State")
    def standing(self, obj: Customer) -> object:
        statuses = {subscription.status for subscription in obj.subscriptions.all()}
        return next((state(word) for word in _ORDER if word in statuses), NOTHING)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        few = Subscription.objects.only("id", "customer_id", "status", "started_at")
        return super().get_queryset(request).prefetch_related(Prefetch("subscriptions", few))

    def get_states(self, obj: Customer) -> Sequence[object]:
        return [self.standing(obj)]

    def get_figures(self, request: HttpRequest, obj: Customer) -> Sequence[Figure]:
        running = [one for one in obj.subscriptions.all() if one.status in REVENUE]
        began = [one.started_at for one in obj.subscriptions.all()]
        open_invoices = Invoice.objects.filter(customer=obj, status=InvoiceStatus.OPEN)
        owed = open_invoices.aggregate(owed=Sum(F("total_minor") - F("amount_paid_minor")))["owed"] or 0
        paid = Payment.objects.filter(customer=obj, status=TransferStatus.SUCCEEDED)
        kept = paid.aggregate(kept=Sum(F("amount_minor") - F("refunded_minor")))["kept"] or 0
        return [
            Figure("Paid in all", money(kept, obj.currency), "without what was refunded", of=Payment),
            Figure("Owes", money(owed, obj.currency), "open invoices", "warning" if owed else "", of=Invoice),
            Figure("Active subscriptions", len(running), f"{len(obj.subscriptions.all())} in all", of=Subscription),
            Figure("Customer since", moment(min(began, default=obj.created_at).date())),
        ]

    def get_subjects(self, obj: Customer) -> Sequence[Model]:
        """What happened to a customer is also what happened to its newest subscriptions, invoices and payments."""
        parts = (Subscription, Invoice, Payment)
        found = [row for part in parts for row in part._default_manager.filter(customer=obj).order_by("-id")[:SHOWN]]
        return [obj, *found, *Refund.objects.filter(payment__customer=obj).order_by("-id")[:SHOWN]]

    def get_sections(self, request: HttpRequest, obj: Customer) -> Sequence[Section]:
        return [
            self._subscriptions(obj),
            self._invoices(obj),
            self._payments(obj),
            self._payment_methods(obj),
            *self._members(obj),
        ]

    def _subscriptions(self, obj: Customer) -> Section:
        rows = [
            (
                id_link(one),
                plan_of(one),
                state(one.status),
                moment(one.started_at.date()),
                NOTHING if one.status in ENDED else moment(one.current_period_end.date()),
            )
            for one in obj.subscriptions.prefetch_related(
                Prefetch("items", SubscriptionItem.objects.select_related("price__product"))
            )[:SHOWN]
        ]
        address = list_url(Subscription, f"customer__id__exact={obj.pk}")
        headers = ("Id", "Plan", "Status", "Started", "Period ends")
        return Section(
            "Subscriptions",
            headers,
            rows,
            address,
            "This customer subscribes to nothing yet.",
            "autorenew",
            Subscription,
        )

    def _invoices(self, obj: Customer) -> Section:
        rows = invoice_rows(Invoice.objects.filter(customer=obj)[:SHOWN])
        address = list_url(Invoice, f"customer__id__exact={obj.pk}")
        headers = ("Number", "Total", "Status", "Due", "Made")
        return Section(
            "Invoices", headers, rows, address, "No invoice yet; the next renewal makes one.", "receipt_long", Invoice
        )

    def _payments(self, obj: Customer) -> Section:
        rows = payment_rows(Payment.objects.filter(customer=obj).select_related("payment_method")[:SHOWN])
        address = list_url(Payment, f"customer__id__exact={obj.pk}")
        headers = ("Id", "Amount", "Status", "Method", "Made")
        return Section("Payments", headers, rows, address, "Nothing was paid yet.", "credit_card", Payment)

    def _payment_methods(self, obj: Customer) -> Section:
        rows = [
            (str(one), one.get_kind_display(), one.provider, state("detached" if one.detached_at else "active"))
            for one in PaymentMethod.objects.filter(customer=obj)[:SHOWN]
        ]
        headers = ("Label", "Kind", "Provider", "State")
        return Section(
            "Payment methods", headers, rows, empty="No way to pay is on file.", icon="wallet", of=PaymentMethod
        )

    def _members(self, obj: Customer) -> list[Section]:
        if obj.organization is None:
            return []
        members = Membership.objects.filter(organization=obj.organization).select_related("user").order_by("-id")
        rows = [(link(one.user), state(one.role, "neutral"), moment(one.created_at)) for one in members[:SHOWN]]
        return [
            Section(
                "Members", ("Person", "Role", "Since"), rows, empty="Nobody belongs to it.", icon="group", of=Membership
            )
        ]


# What a customer's own state is named for: the most pressing of its subscriptions' states.
_ORDER = (
    "past_due", "unpaid", "incomplete", "active", "trialing", "paused", "scheduled", "canceled", "incomplete_expired",
)  # fmt: skip
