"""What staff may do with invoices and payments: each command previews what its service will do, and calls it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing.models import Invoice, Payment, PaymentMethod, Refund, RefundReason
from billing.money_states import INVOICE, PAYMENT, InvoiceStatus, TransferStatus
from billing.services import invoices, payments, refunds
from core.admin import Call, CommandAction, CommandForm, Effect, Outcome
from core.admin.html import money, state
from core.money import Money

# Refund a payment


class RefundForm(CommandForm):
    amount = forms.CharField(max_length=30, widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"}))
    category = forms.ChoiceField(
        choices=RefundReason.choices,
        initial=RefundReason.REQUESTED_BY_CUSTOMER,
        widget=UnfoldAdminSelectWidget(),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        left = refunds.remaining(self.obj)
        self.fields["amount"].initial = str(left.decimal)
        self.fields["amount"].help_text = f"In {left.currency}; at most {left}, what is left of the payment."

    def clean_amount(self) -> Money:
        try:
            amount = Money.parse(self.cleaned_data["amount"], self.obj.currency)
        except ValueError as fault:
            raise forms.ValidationError(str(fault)) from None
        left = refunds.remaining(self.obj)
        if not 0 < amount.minor <= left.minor:
            raise forms.ValidationError(f"The amount must be above zero and at most {left}.")
        return amount


def _refund(call: Call[Payment]) -> Refund:
    return refunds.create(
        actor=call.actor,
        payment=call.obj,
        operation_key=call.key,
        now=call.now,
        money=call.data["amount"],
        reason=call.data["category"],
        note=call.reason,
    )


def _refund_preview(call: Call[Payment]) -> Iterable[Effect]:
    PAYMENT.target(call.obj, "refund")
    payment, amount = call.obj, call.data["amount"]
    after = payment.refunded_minor + amount.minor
    yield Effect("Given back", money(payment.refunded_minor, payment.currency), money(after, payment.currency))
    kept = payment.amount_minor - payment.refunded_minor
    yield Effect("Kept", money(kept, payment.currency), money(kept - amount.minor, payment.currency))
    yield Effect("Goes to", "", f"{payment.payment_method} of {payment.customer}")
    yield Effect("Books", "", f"Refunds {amount} debit, cash clearing {amount} credit")
    yield Effect("Subscription", "", "stays as it is: cancel it besides when it should end")


def _came_to(result: Payment | Refund, good: str) -> Outcome:
    """Say what the provider answered."""
    if result.status == TransferStatus.SUCCEEDED:
        return Outcome(good)
    if result.status == TransferStatus.FAILED:
        return Outcome(f"The provider declined: {result.failure_message or result.failure_code}.", "error")
    return Outcome("The provider's answer is not known yet; it is asked again until it is.", "warning")


PAYMENT_COMMANDS: tuple[CommandAction[Payment], ...] = (
    CommandAction(
        "refund",
        "Refund",
        "billing.refund.create",
        _refund,
        lambda payment: "refund" in payment.allowed_commands,
        _refund_preview,
        RefundForm,
        "Gives back the payment, or a part of it, by the way it came.",
        icon="undo",
        is_dangerous=True,
        outcome=lambda result: _came_to(result, f"{result.money} was given back."),
    ),
)

# Invoices


class PayForm(CommandForm):
    method = forms.ModelChoiceField(
        queryset=PaymentMethod.objects.none(), label="Payment method", widget=UnfoldAdminSelectWidget()
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        usable = PaymentMethod.objects.filter(customer=self.obj.customer_id, detached_at=None)
        self.fields["method"].queryset = usable  # type: ignore[attr-defined]
        self.fields["method"].initial = self.obj.customer.default_payment_method_id


def _pay(call: Call[Invoice]) -> Payment:
    return payments.create(
        actor=call.actor,
        invoice=call.obj,
        operation_key=call.key,
        now=call.now,
        payment_method=call.data["method"],
    )


def _pay_preview(call: Call[Invoice]) -> Iterable[Effect]:
    invoice = call.obj
    INVOICE.target(invoice, "pay")
    yield Effect("Status", state(invoice.status), state(InvoiceStatus.PAID))
    yield Effect("Charged now", "", money(invoice.amount_due_minor, invoice.currency))
    yield Effect("From", "", f"{call.data['method']} of {invoice.customer}")


def _void_preview(call: Call[Invoice]) -> Iterable[Effect]:
    invoice = call.obj
    yield Effect("Status", state(invoice.status), state(INVOICE.target(invoice, "void")))
    yield Effect("To pay", money(invoice.amount_due_minor, invoice.currency), money(0, invoice.currency))
    yield Effect("Number", invoice.number or "", "stays taken, so that numbers have no gaps")


def _write_off_preview(call: Call[Invoice]) -> Iterable[Effect]:
    invoice = call.obj
    due = money(invoice.amount_due_minor, invoice.currency)
    yield Effect("Status", state(invoice.status), state(INVOICE.target(invoice, "mark_uncollectible")))
    yield Effect("Books", "", f"Bad debt {due} debit, receivable {due} credit")
    yield Effect("Payment", "", "still possible; the write-off is then reversed")


def _finalize_preview(call: Call[Invoice]) -> Iterable[Effect]:
    yield Effect("Status", state(call.obj.status), state(INVOICE.target(call.obj, "finalize")))
    yield Effect("Number", "none", "the next one of its billing entity")


INVOICE_COMMANDS: tuple[CommandAction[Invoice], ...] = (
    CommandAction(
        "finalize",
        "Finalise",
        "billing.invoice.finalize",
        lambda call: invoices.finalize(actor=call.actor, invoice=call.obj, now=call.now),
        lambda invoice: "finalize" in invoice.allowed_commands,
        _finalize_preview,
        text="Gives the draft its number; from then on it cannot be changed.",
        done="The invoice is finalised.",
        icon="task_alt",
    ),
    CommandAction(
        "pay",
        "Collect payment",
        "billing.payment.create",
        _pay,
        lambda invoice: "pay" in invoice.allowed_commands and invoice.amount_due_minor > 0,
        _pay_preview,
        PayForm,
        "Charges what is due to one of the customer's payment methods, now.",
        icon="credit_card",
        outcome=lambda result: _came_to(result, f"{result.money} came in."),
    ),
    CommandAction(
        "mark-uncollectible",
        "Write off",
        "billing.invoice.write_off",
        lambda call: invoices.mark_uncollectible(actor=call.actor, invoice=call.obj, reason=call.reason, now=call.now),
        lambda invoice: "mark_uncollectible" in invoice.allowed_commands,
        _write_off_preview,
        text="Gives up collecting: what is due becomes bad debt.",
        done="The invoice is written off.",
        icon="money_off",
        is_dangerous=True,
    ),
    CommandAction(
        "void",
        "Void",
        "billing.invoice.void",
        lambda call: invoices.void(actor=call.actor, invoice=call.obj, reason=call.reason, now=call.now),
        lambda invoice: "void" in invoice.allowed_commands and not invoice.amount_paid_minor,
        _void_preview,
        text="Takes the invoice back as if it had never been owed.",
        done="The invoice is void.",
        icon="block",
        is_dangerous=True,
    ),
)
