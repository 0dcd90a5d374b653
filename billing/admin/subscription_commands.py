"""What staff may do with a subscription: each command asks `billing.states` whether it is offered, previews what the
service will do, and calls that service."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminRadioSelectWidget, UnfoldAdminSelect2Widget

from billing.admin.texts import plan_of, price_label
from billing.models import Price, Subscription
from billing.services import subscriptions
from billing.states import Access, is_allowed, target
from core.admin import Call, CommandAction, CommandForm, Effect
from core.admin.html import moment, state

PRICES_OFFERED: Final = 2000
NOW, AT_PERIOD_END = "now", "period_end"

Command = CommandAction[Subscription]


def _when(*commands: str) -> Callable[[Subscription], bool]:
    return lambda subscription: any(is_allowed(subscription, command) for command in commands)


def _status(call: Call[Subscription], command: str) -> Effect:
    """The line about the status. Raises `InvalidTransition` when the command is not possible."""
    return Effect("Status", state(call.obj.status), state(target(call.obj, command)))


# Cancel


class CancelForm(CommandForm):
    when = forms.ChoiceField(
        label="When",
        choices=[(AT_PERIOD_END, "When the paid period ends"), (NOW, "At once")],
        initial=AT_PERIOD_END,
        widget=UnfoldAdminRadioSelectWidget(),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        possible = {AT_PERIOD_END: "cancel_at_period_end", NOW: "cancel"}
        choices = [choice for choice in self.fields["when"].choices if is_allowed(self.obj, possible[choice[0]])]  # type: ignore[attr-defined]
        self.fields["when"].choices = choices  # type: ignore[attr-defined]
        self.fields["when"].initial = choices[0][0] if choices else NOW


def _cancel(call: Call[Subscription]) -> object:
    return subscriptions.cancel(
        actor=call.actor,
        subscription=call.obj,
        now=call.now,
        at_period_end=call.data["when"] == AT_PERIOD_END,
        reason=call.reason,
    )


def _cancel_preview(call: Call[Subscription]) -> Iterable[Effect]:
    if call.data["when"] == AT_PERIOD_END:
        yield _status(call, "cancel_at_period_end")
        yield Effect("Ends", "goes on", moment(call.obj.current_period_end))
        yield Effect("Last invoice", "", "the one of the present period")
    else:
        yield _status(call, "cancel")
        yield Effect("Ends", "goes on", "now")
        yield Effect("Paid for", f"until {call.obj.current_period_end:%d %b %Y}", "not paid back: refund the payment")


# Change plan


class PriceSelect(UnfoldAdminSelect2Widget):
    """An import makes one price for each amount, so there may be thousands: they are written in one go, as a template
    for each would take a second."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        widget = self.get_context(name, value, attrs)["widget"]
        options = format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            (
                (str(option["value"]), SafeString(" selected") if option["selected"] else "", option["label"])
                for _, group, _ in widget["optgroups"]
                for option in group
            ),
        )
        return format_html('<select name="{}"{}>{}</select>', name, flatatt(widget["attrs"]), options)


class PriceField(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Price) -> str:
        return price_label(obj)


class ChangePlanForm(CommandForm):
    price = PriceField(queryset=Price.objects.none(), label="New price", widget=PriceSelect())
    quantity = forms.IntegerField(min_value=1, max_value=1_000_000, widget=UnfoldAdminIntegerFieldWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        prices = Price.objects.filter(is_active=True, product__is_active=True, currency=self.obj.currency)
        ordered = prices.select_related("product").order_by("-is_listed", "product__name", "amount_minor")
        keys = list(ordered.values_list("pk", flat=True)[:PRICES_OFFERED])
        self.fields["price"].queryset = ordered.filter(pk__in=keys)  # type: ignore[attr-defined]
        items = list(self.obj.items.all())
        self.fields["quantity"].initial = items[0].quantity if items else 1


def _change_plan(call: Call[Subscription]) -> object:
    return subscriptions.change_plan(
        actor=call.actor,
        subscription=call.obj,
        price=call.data["price"],
        quantity=call.data["quantity"],
        now=call.now,
        reason=call.reason,
    )


def _change_plan_preview(call: Call[Subscription]) -> Iterable[Effect]:
    target(call.obj, "change_plan")
    quantity = call.data["quantity"]
    times = f"{quantity} × " if quantity != 1 else ""
    yield Effect("Plan", plan_of(call.obj), f"{times}{price_label(call.data['price'])}")
    yield Effect("Takes effect", "", moment(call.obj.current_period_end))
    yield Effect("Charged today", "", "nothing; the next invoice has the new price")


# The others


def _simple(verb: str, *lines: Effect) -> Callable[[Call[Subscription]], Iterable[Effect]]:
    def preview(call: Call[Subscription]) -> Iterable[Effect]:
        return [_status(call, verb), *lines]

    return preview


def _access(verb: str, after: Access, note: str) -> Callable[[Call[Subscription]], Iterable[Effect]]:
    def preview(call: Call[Subscription]) -> Iterable[Effect]:
        target(call.obj, verb)
        return [Effect("Access", state(call.obj.access), state(after)), Effect("Billing", "", note)]

    return preview


def _reactivate_preview(call: Call[Subscription]) -> Iterable[Effect]:
    yield _status(call, "reactivate")
    yield Effect("Plan", "", plan_of(call.obj))
    yield Effect("New period", "", "begins now and is billed")


SUBSCRIPTION_COMMANDS: tuple[Command, ...] = (
    Command(
        "change-plan",
        "Change plan",
        "billing.subscription.change_plan",
        _change_plan,
        _when("change_plan"),
        _change_plan_preview,
        ChangePlanForm,
        "Another price applies from the next period on. Choosing the present price withdraws a pending change.",
        "The plan change is noted.",
        "swap_horiz",
    ),
    Command(
        "pause",
        "Pause",
        "billing.subscription.pause",
        lambda call: subscriptions.pause(
            actor=call.actor, subscription=call.obj, now=call.now, reason=call.reason
        ),
        _when("pause"),
        _simple("pause", Effect("Billing", "", "stops until it is resumed; what was paid stays paid")),
        text="Nothing runs and nothing is billed until it is resumed.",
        done="The subscription is paused.",
        icon="pause",
    ),
    Command(
        "resume",
        "Resume",
        "billing.subscription.pause",
        lambda call: subscriptions.resume(actor=call.actor, subscription=call.obj, now=call.now),
        _when("resume"),
        _simple("resume", Effect("Billing", "stopped", "goes on; a new period is billed when the paid one is over")),
        text="It goes on where it stopped.",
        done="The subscription runs again.",
        icon="play_arrow",
    ),
    Command(
        "suspend",
        "Suspend",
        "billing.subscription.suspend",
        lambda call: subscriptions.suspend(
            actor=call.actor, subscription=call.obj, reason=call.reason, now=call.now
        ),
        _when("suspend"),
        _access("suspend", Access.SUSPENDED, "goes on"),
        text="Shuts the customer out, whatever the status. Billing goes on.",
        done="Access is suspended.",
        icon="lock",
        is_dangerous=True,
    ),
    Command(
        "unsuspend",
        "Let in again",
        "billing.subscription.suspend",
        lambda call: subscriptions.unsuspend(
            actor=call.actor, subscription=call.obj, now=call.now, reason=call.reason
        ),
        _when("unsuspend"),
        _access("unsuspend", Access.GRANTED, "goes on"),
        text="The customer may use it again.",
        done="Access is granted again.",
        icon="lock_open",
    ),
    Command(
        "undo-cancel",
        "Undo the cancellation",
        "billing.subscription.cancel",
        lambda call: subscriptions.undo_cancel(actor=call.actor, subscription=call.obj, now=call.now),
        _when("undo_cancel"),
        _simple("undo_cancel", Effect("Ends", "with the period", "goes on")),
        text="The cancellation has not taken effect yet; it can be taken back.",
        done="The cancellation is taken back.",
        icon="undo",
    ),
    Command(
        "cancel",
        "Cancel subscription",
        "billing.subscription.cancel",
        _cancel,
        _when("cancel", "cancel_at_period_end"),
        _cancel_preview,
        CancelForm,
        "Ends the subscription. A cancelled one can only be reactivated.",
        "The subscription is cancelled.",
        "cancel",
        True,
    ),
    Command(
        "reactivate",
        "Reactivate",
        "billing.subscription.reactivate",
        lambda call: subscriptions.reactivate(actor=call.actor, subscription=call.obj, now=call.now),
        _when("reactivate"),
        _reactivate_preview,
        text="A cancelled subscription runs again at its price; a new period begins now and is billed.",
        done="The subscription runs again.",
        icon="restart_alt",
    ),
)  # fmt: skip
