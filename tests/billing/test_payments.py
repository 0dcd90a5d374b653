from __future__ import annotations

from datetime import timedelta

import pytest

from audit.models import Event
from billing.errors import (
    AmountTooLarge,
    InvoiceAlreadyPaid,
    PaymentCurrencyMismatch,
    PaymentInProgress,
    PaymentMethodUnusable,
)
from billing.models import Invoice, LedgerEntry, Payment
from billing.providers.local import BEHAVIOURS, DECLINES, SandboxProvider
from billing.selectors import ledger as books
from billing.selectors import renewals as due
from billing.services import invoices, payments, refunds, transfers
from core import clock
from core.actor import SYSTEM
from core.errors import IdempotencyReused, InvalidInput, InvalidTransition, RequestInProgress
from core.money import Money
from project.settings.variables import VARIABLES
from search.documents import document_types
from search.followers import touched
from tests.billing import factories
from tests.billing.factories import NOW

pytestmark = pytest.mark.django_db


def pay(invoice: Invoice, key: str = "key", **values: object) -> Payment:
    return payments.create(actor=SYSTEM, invoice=invoice, operation_key=key, now=NOW, **values)


def events(subject: object) -> list[str]:
    return list(Event.objects.filter(subject_id=subject.pk).order_by("id").values_list("type", flat=True))


def invoice_of(token: str | None = "tok_success", **values: object) -> Invoice:
    return factories.invoice(factories.customer(token=token), **values)


def entries(source: object) -> int:
    return LedgerEntry.objects.filter(source_id=source.pk).count()


def let_the_lease_run_out(payment: Payment) -> None:
    Payment.objects.filter(pk=payment.pk).update(lease_until=clock.now() - timedelta(seconds=1))


def test_pays_an_invoice_and_posts_it_once() -> None:
    invoice = invoice_of()
    payment = pay(invoice)
    invoice.refresh_from_db()
    assert (payment.status, payment.amount_minor, payment.lease_until) == ("succeeded", 2985, None)
    assert (invoice.status, invoice.amount_paid_minor, invoice.amount_due_minor) == ("paid", 2985, 0)
    assert events(payment) == ["billing.payment.succeeded"]
    assert events(invoice) == ["billing.invoice.finalized", "billing.invoice.paid"]
    assert books.receivable(invoice.customer, "USD").minor == 0
    assert list(books.findings()) == []


def test_reaches_the_subscription_through_the_invoice_only() -> None:
    invoice = invoice_of()
    payment = pay(invoice)
    assert payment.subscription_ids == [invoice.lines.get().subscription_id]
    assert not [field for field in Payment._meta.get_fields() if "subscription" in field.name]


def test_turns_an_incomplete_subscription_active() -> None:
    owner = factories.customer()
    running = factories.subscription(owner, status="incomplete")
    pay(factories.invoice(owner, running=running))
    running.refresh_from_db()
    assert running.status == "active"


@pytest.mark.parametrize("code", sorted(DECLINES))
def test_keeps_a_decline_with_its_code(code: str) -> None:
    invoice = invoice_of(f"tok_{code}")
    payment = pay(invoice)
    invoice.refresh_from_db()
    assert (payment.status, payment.failure_code) == ("failed", code)
    assert payment.failure_message == DECLINES[code]
    assert (invoice.status, invoice.last_failure_code, invoice.attempt_count) == ("open", code, 1)
    assert entries(payment) == 0
    assert events(payment) == ["billing.payment.failed"]


def test_can_be_tried_again_with_another_method_after_a_decline() -> None:
    invoice = invoice_of("tok_card_declined")
    pay(invoice, "first")
    second = pay(invoice, "second", payment_method=factories.method(invoice.customer, "tok_success"))
    assert second.status == "succeeded"


def test_declines_a_token_that_it_does_not_know() -> None:
    assert pay(invoice_of("4242")).failure_code == "invalid_payment_method"


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("tok_timeout_after_charge", "succeeded"),
        ("tok_timeout_after_decline", "failed"),
    ],
)
def test_asks_what_became_of_a_charge_whose_answer_was_lost(token: str, status: str) -> None:
    payment = pay(invoice_of(token))
    assert payment.status == status
    assert entries(payment) == (1 if status == "succeeded" else 0)


def test_stays_unknown_while_the_provider_knows_nothing_and_is_settled_later_with_one_charge() -> None:
    invoice = invoice_of("tok_timeout_before_charge")
    payment = pay(invoice)
    assert payment.status == "unknown"
    assert SandboxProvider().find_charge(payment.public_id) is None
    assert payments.settle(actor=SYSTEM, payment=payment, now=NOW).status == "unknown"  # too early to ask again
    assert due.unanswered_payments(clock.now()) == []
    let_the_lease_run_out(payment)
    assert due.unanswered_payments(clock.now()) == [payment.pk]
    settled = payments.settle(actor=SYSTEM, payment=payment, now=NOW)
    assert (settled.status, settled.attempt_count, entries(payment)) == ("succeeded", 2, 1)
    assert payments.settle(actor=SYSTEM, payment=settled, now=NOW).attempt_count == 2


def test_is_found_by_words_while_its_outcome_is_not_known() -> None:
    payment = pay(invoice_of("tok_timeout_before_charge"))
    lost = Event.objects.get(type="billing.payment.answer_lost")
    assert (lost.subject_id, lost.before, lost.after) == (payment.pk, {"status": "processing"}, {"status": "unknown"})
    kind = document_types["payment"]
    assert touched(kind, [lost]) == [payment.pk]
    (document,) = kind.build([payment.pk])
    assert document.facets["status"] == "unknown"
    let_the_lease_run_out(payment)
    payments.settle(actor=SYSTEM, payment=payment, now=NOW)
    assert Event.objects.filter(type="billing.payment.answer_lost").count() == 1


def test_waits_longer_each_time_that_the_provider_cannot_be_reached() -> None:
    payment = pay(invoice_of("tok_unavailable"))
    waits = []
    for _ in range(8):
        payment.refresh_from_db()
        waits.append(round((payment.lease_until - clock.now()).total_seconds() / 60))
        let_the_lease_run_out(payment)
        payment = payments.settle(actor=SYSTEM, payment=payment, now=NOW)
        assert payment.status == "unknown"
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_returns_the_same_payment_for_the_same_key() -> None:
    invoice = invoice_of()
    assert pay(invoice, "same").pk == pay(invoice, "same").pk
    assert Payment.objects.count() == 1


def test_refuses_the_same_key_for_another_request() -> None:
    invoice = invoice_of()
    pay(invoice, "same")
    with pytest.raises(IdempotencyReused):
        pay(invoice_of(), "same")
    with pytest.raises(IdempotencyReused):
        pay(invoice, "same", money=Money(1, "USD"))


def test_says_that_the_same_request_is_running_until_its_lease_runs_out() -> None:
    invoice = invoice_of("tok_unavailable")
    payment = pay(invoice)
    with pytest.raises(RequestInProgress) as refused:
        pay(invoice)
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 61
    let_the_lease_run_out(payment)
    assert pay(invoice).attempt_count == 2


def test_refuses_another_payment_while_one_is_on_its_way() -> None:
    invoice = invoice_of("tok_unavailable")
    pay(invoice, "first")
    with pytest.raises(PaymentInProgress):
        pay(invoice, "second")
    with pytest.raises(PaymentInProgress):
        invoices.void(actor=SYSTEM, invoice=invoice, reason="wrong", now=NOW)


def test_refuses_what_is_paid() -> None:
    invoice = invoice_of()
    pay(invoice, "first")
    with pytest.raises(InvoiceAlreadyPaid):
        pay(invoice, "second")


def test_refuses_what_is_void() -> None:
    invoice = invoice_of()
    invoices.void(actor=SYSTEM, invoice=invoice, reason="wrong", now=NOW)
    with pytest.raises(InvalidTransition) as refused:
        pay(invoice)
    assert refused.value.extra == {"current_status": "void", "command": "pay", "allowed_commands": []}


def test_refuses_too_much_another_currency_and_nothing() -> None:
    invoice = invoice_of()
    with pytest.raises(AmountTooLarge) as refused:
        pay(invoice, money=Money(2986, "USD"))
    assert refused.value.extra == {"amount_due_minor": 2985}
    with pytest.raises(PaymentCurrencyMismatch):
        pay(invoice, money=Money(1, "EUR"))
    with pytest.raises(InvalidInput):
        pay(invoice, money=Money(0, "USD"))
    assert not Payment.objects.exists()


def test_takes_a_part_and_then_the_rest() -> None:
    invoice = invoice_of()
    pay(invoice, "part", money=Money(1000, "USD"))
    invoice.refresh_from_db()
    assert (invoice.status, invoice.amount_due_minor) == ("open", 1985)
    assert pay(invoice, "rest").amount_minor == 1985
    invoice.refresh_from_db()
    assert invoice.status == "paid"
    assert events(invoice)[1:] == ["billing.invoice.partly_paid", "billing.invoice.paid"]
    assert list(books.findings()) == []


def test_refuses_a_payment_method_that_is_missing_or_another_customers() -> None:
    with pytest.raises(PaymentMethodUnusable):
        pay(invoice_of(None))
    with pytest.raises(PaymentMethodUnusable):
        pay(invoice_of(), payment_method=factories.customer().default_payment_method)


def test_credits_bad_debt_when_a_written_off_invoice_is_paid_after_all() -> None:
    invoice = invoice_of()
    invoices.mark_uncollectible(actor=SYSTEM, invoice=invoice, reason="gone", now=NOW)
    pay(invoice)
    balances = {row.code: row.balance_minor for row in books.trial_balance(invoice.billing_entity)}
    assert balances == {"receivable": 0, "revenue": -2985, "bad_debt": 0, "cash_clearing": 2985}


def test_documents_every_token_of_the_sandbox() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs/reference/sandbox.md").read_text(encoding="utf-8")
    assert [token for token in BEHAVIOURS if f"`{token}`" not in page] == []


def test_leaves_a_charge_that_its_own_connection_made_when_we_roll_back() -> None:
    from django.db import transaction

    sandbox = SandboxProvider()
    key = f"key-{factories.new_id()}"
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        sandbox.charge(key=key, amount_minor=5, currency="USD", payment_method="tok_success", metadata={})
        raise RuntimeError
    found = sandbox.find_charge(key)
    assert found is not None
    assert found.is_success
    assert timedelta(seconds=10) < transfers.LEASE


def test_takes_no_pretend_money_where_the_sandbox_is_off(settings, api, owner, organization) -> None:
    """As in production; what was begun before is still settled and given back."""
    owed = factories.customer(organization=organization)
    paid, invoice = factories.invoice(owed), factories.invoice(owed)
    payment = payments.create(actor=SYSTEM, invoice=paid, operation_key="before", now=NOW)
    settings.SANDBOX_PAYMENTS = False
    client = api(owner)
    method = client.post(f"/api/v1/customers/{owed.public_id}/payment-methods", {"token": "tok_success"})
    reply = client.post(f"/api/v1/invoices/{invoice.public_id}/pay", {}, headers={"Idempotency-Key": "k"})
    assert [one.json()["code"] for one in (method, reply)] == ["provider_misconfigured"] * 2
    assert Payment.objects.get() == payment
    refund = refunds.create(actor=SYSTEM, payment=payment, operation_key="back", now=NOW)
    assert refund.status == "succeeded"


def test_is_off_in_production_unless_it_is_asked_for() -> None:
    (variable,) = [one for one in VARIABLES if one.name == "SANDBOX_PAYMENTS"]
    assert variable.default("production") is False
    assert variable.default("development") is True
