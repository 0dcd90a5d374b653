"""What staff may do with products and prices: make them, put them on sale, take them off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from billing.models import Interval, Price, Product
from billing.services import prices, products
from core.admin import Call, CommandAction, CommandForm, Effect
from core.money import Money, is_currency


def _sale(noun: str, update: Callable[[Call[Any], bool], object], *, on: bool) -> CommandAction[Any]:
    """Put a product or a price on sale, or take it off; what runs already goes on."""
    words = ("Put on sale", "sell") if on else ("Take off sale", "remove_shopping_cart")
    return CommandAction(
        "put-on-sale" if on else "take-off-sale",
        words[0],
        f"billing.{noun}.manage",
        lambda call: update(call, on),
        lambda obj: obj.is_active != on,
        lambda call: [Effect("On sale", "no" if on else "yes", "yes" if on else "no")],
        text="Subscriptions that run go on as they are." if not on else "New subscriptions can take it again.",
        done=f"The {noun} is {'on sale' if on else 'not sold any more'}.",
        icon=words[1],
    )


def _update_product(call: Call[Product], on: bool) -> object:
    return products.update(actor=call.actor, product=call.obj, changes={"is_active": on})


def _update_price(call: Call[Price], on: bool) -> object:
    return prices.update(actor=call.actor, price=call.obj, changes={"is_active": on})


class AddPriceForm(CommandForm):
    """A price of the product: what is promised to those who subscribe to it, and what may change later."""

    currency = forms.CharField(max_length=3, min_length=3, widget=UnfoldAdminTextInputWidget(), help_text="ISO 4217.")
    amount = forms.CharField(
        max_length=30,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"}),
        help_text="For one unit and period, as 29.85.",
    )
    interval = forms.ChoiceField(choices=Interval.choices, initial="month", widget=UnfoldAdminSelectWidget())
    interval_count = forms.IntegerField(min_value=1, max_value=60, initial=1, widget=UnfoldAdminIntegerFieldWidget())
    trial_days = forms.IntegerField(min_value=0, max_value=730, initial=0, widget=UnfoldAdminIntegerFieldWidget())
    is_listed = forms.BooleanField(
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget(),
        help_text="Customers can choose it themselves.",
    )
    lookup_key = forms.CharField(max_length=100, required=False, widget=UnfoldAdminTextInputWidget())

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        currency = str(data.get("currency", "")).upper()
        if currency and not is_currency(currency):
            self.add_error("currency", "This is no ISO 4217 currency.")
        elif currency and "amount" in data:
            try:
                data["money"] = Money.parse(data["amount"], currency)
            except ValueError as fault:
                self.add_error("amount", str(fault))
        return data


def _add_price(call: Call[Product]) -> Price:
    data = call.data
    names = ("money", "interval", "interval_count", "trial_days", "is_listed", "lookup_key")
    return prices.create(actor=call.actor, product=call.obj, **{name: data[name] for name in names})


def _add_price_preview(call: Call[Product]) -> list[Effect]:
    data = call.data
    price = Price(interval=data["interval"], interval_count=data["interval_count"])
    return [
        Effect("New price", "", f"{data['money'].format()} {price.rhythm}"),
        Effect("Trial", "", f"{data['trial_days']} days" if data["trial_days"] else "none"),
        Effect("Later", "", "amount, currency and period cannot change once somebody subscribes to it"),
    ]


ADD_PRICE: CommandAction[Product] = CommandAction(
    "add-price",
    "Add a price",
    "billing.price.manage",
    _add_price,
    lambda product: product.is_active,
    _add_price_preview,
    AddPriceForm,
    "Customers subscribe to a product at one of its prices.",
    "The price is on sale.",
    "add",
)


class NewProductForm(CommandForm):
    name = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget())
    description = forms.CharField(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))


NEW_PRODUCT: CommandAction[Product] = CommandAction(
    "new",
    "New product",
    "billing.product.manage",
    lambda call: products.create(actor=call.actor, **call.data),
    preview=lambda call: [Effect("New product", "", call.data["name"]), Effect("Prices", "", "none yet: add one next")],
    form=NewProductForm,
    text="A product is what customers subscribe to; its prices say for how much.",
    done="The product is there.",
    icon="add",
)
PRODUCT_COMMANDS = (ADD_PRICE, *(_sale("product", _update_product, on=on) for on in (True, False)))
PRICE_COMMANDS = tuple(_sale("price", _update_price, on=on) for on in (True, False))
