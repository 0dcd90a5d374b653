"""The books in the admin: to read, never to write."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from billing.models import LedgerEntry, LedgerLeg
from core.admin import Empty, EntityAdmin, Section
from core.admin.html import NOTHING, admin_url, link, moment, money
from core.exports.columns import Kind, exports_as
from core.models import entities_by_type


@admin.register(LedgerEntry)
class LedgerEntryAdmin(EntityAdmin):
    view_permission = "billing.metrics.view"
    list_display = ("occurred", "entry_type", "debit", "legs_shown", "about", "identifier")
    list_filter = ("entry_type",)
    search_by = ()
    search_help_text = "Id of the entry"
    has_timeline = False
    facts = ("entry_type", "about", "billing_entity", "occurred_at", "created_at", "command_id")
    empty = Empty(
        "The books are empty",
        "An entry is posted when an invoice is finalised, paid or refunded. Its legs sum to zero.",
        icon="account_balance",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerEntry]:
        legs = LedgerLeg.objects.select_related("account")
        return super().get_queryset(request).prefetch_related(Prefetch("legs", legs))

    @display(description="Occurred")
    def occurred(self, obj: LedgerEntry) -> object:
        return moment(obj.occurred_at)

    @display(description="Amount")
    @exports_as(Kind.MONEY)
    def debit(self, obj: LedgerEntry) -> object:
        legs = [leg for leg in obj.legs.all() if leg.amount_minor > 0]
        return money(sum(leg.amount_minor for leg in legs), legs[0].currency) if legs else NOTHING

    @display(description="Debit → credit")
    def legs_shown(self, obj: LedgerEntry) -> str:
        debits = [leg.account.get_code_display() for leg in obj.legs.all() if leg.amount_minor > 0]
        credits_ = [leg.account.get_code_display() for leg in obj.legs.all() if leg.amount_minor < 0]
        return f"{', '.join(debits)} → {', '.join(credits_)}"

    @display(description="About")
    @exports_as(Kind.LINK)
    def about(self, obj: LedgerEntry) -> object:
        model = entities_by_type.get(obj.source_type)
        if model is None:
            return obj.source_type
        row = model(id=obj.source_id)
        return link(row, obj.source_type) if admin_url(row) else obj.source_type

    def get_title(self, obj: LedgerEntry) -> object:
        return obj.get_entry_type_display()

    def get_sections(self, request: HttpRequest, obj: LedgerEntry) -> Sequence[Section]:
        rows = [
            (
                leg.account.get_code_display(),
                link(leg.account.customer) if leg.account.customer_id else leg.account.provider or NOTHING,
                money(leg.amount_minor, leg.currency) if leg.amount_minor > 0 else "",
                money(-leg.amount_minor, leg.currency) if leg.amount_minor < 0 else "",
            )
            for leg in obj.legs.select_related("account__customer")
        ]
        return [Section("Legs", ("Account", "Of", "Debit", "Credit"), rows, icon="balance")]
