"""What is sold, in the admin: products and their prices, and the legal persons that sell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from billing.admin.catalog_commands import NEW_PRODUCT, PRICE_COMMANDS, PRODUCT_COMMANDS
from billing.models import BillingEntity, Price, Product
from core.admin import Empty, EntityAdmin, Section
from core.admin.html import id_link, link, list_url, money, state
from core.exports.columns import Kind, exports_as

SHOWN = 10


@admin.register(Product)
class ProductAdmin(EntityAdmin):
    list_display = ("name", "active", "identifier", "created")
    commands = PRODUCT_COMMANDS
    creation = NEW_PRODUCT
    list_filter = ("is_active",)
    facts = ("name", "description", "active", "created_at", "updated_at")
    empty = Empty(
        "No products yet",
        "A product is what customers subscribe to; its prices say for how much. An import makes them too.",
        "",
        "inventory_2",
    )

    @display(description="State")
    def active(self, obj: Product) -> object:
        return state("active" if obj.is_active else "inactive")

    def get_states(self, obj: Product) -> Sequence[object]:
        return [self.active(obj)]

    def get_sections(self, request: HttpRequest, obj: Product) -> Sequence[Section]:
        rows = [
            (id_link(price), money(price.amount_minor, price.currency), price.rhythm, _price_state(price))
            for price in obj.prices.all()[:SHOWN]
        ]
        return [
            Section(
                "Prices",
                ("Id", "Amount", "Period", "State"),
                rows,
                list_url(Price, f"product__id__exact={obj.pk}"),
                "It has no price yet, so nobody can subscribe to it.",
                "sell",
            )
        ]


def _price_state(price: Price) -> object:
    if not price.is_active:
        return state("inactive")
    return state("active") if price.is_listed else state("unlisted", "neutral")


@admin.register(Price)
class PriceAdmin(EntityAdmin):
    list_display = ("amount", "rhythm", "of_product", "active", "identifier", "created")
    list_filter = ("currency", "interval", "is_listed", "is_active")
    search_by = ("lookup_key",)
    search_help_text = "Id or lookup key"
    related = ("product",)
    commands = PRICE_COMMANDS
    facts = ("product", "amount", "rhythm", "trial_days", "is_listed", "is_active", "lookup_key", "created_at")
    empty = Empty("No prices yet", "A price belongs to a product: amount, currency and period.", icon="sell")

    @display(description="Amount")
    @exports_as(Kind.MONEY)
    def amount(self, obj: Price) -> object:
        return money(obj.amount_minor, obj.currency)

    @display(description="Period")
    def rhythm(self, obj: Price) -> str:
        return obj.rhythm

    @display(description="Product")
    @exports_as(Kind.LINK)
    def of_product(self, obj: Price) -> object:
        return link(obj.product)

    @display(description="State")
    def active(self, obj: Price) -> object:
        return _price_state(obj)

    def get_title(self, obj: Price) -> object:
        return f"{obj.product}: {obj}"

    def get_states(self, obj: Price) -> Sequence[object]:
        return [_price_state(obj)]


@admin.register(BillingEntity)
class BillingEntityAdmin(EntityAdmin):
    list_display = ("legal_name", "country", "default_currency", "invoice_prefix", "identifier")
    facts = ("legal_name", "country", "default_currency", "invoice_prefix", "created_at")
    empty = Empty("No billing entity yet", "The legal person that issues invoices.", icon="business_center")

    def has_module_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request)
