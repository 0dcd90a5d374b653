from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.models import Event
from billing.errors import AmountTooLarge, PaymentCurrencyMismatch
from billing.models import Payment, Refund
from billing.selectors import ledger as books
from billing.services import payments, refunds
from core.actor import ANONYMOUS, SYSTEM
from core.errors import AppError, IdempotencyReused, InvalidTransition
from core.money import Money
from tests.billing import factories
from tests.billing.factories import NOW

pytestmark = pytest.mark.django_db


def paid(token: str = "tok_success") -> Payment:
    invoice = factories.invoice(factories.customer(token=token))
    return payments.create(actor=SYSTEM, invoice=invoice, operation_key=f"pay:{invoice.pk}", now=NOW)


def give_back(payment: Payment, minor: int | None = None, key: str = "refund", **values: object) -> Refund:
    money = None if minor is None else Money(minor, "USD")
    return refunds.create(actor=SYSTEM, payment=payment, operation_key=key, now=NOW, money=money, **values)


def test_gives_all_back_and_posts_it() -> None:
    payment = paid()
    refund = give_back(payment, reason="duplicate", note="paid twice")
    payment.refresh_from_db()
    assert (refund.status, refund.amount_minor, payment.refunded_minor) == ("succeeded", 2985, 2985)
    assert payment.allowed_commands == []
    balances = {row.code: row.balance_minor for row in books.trial_balance(payment.billing_entity)}
    assert balances == {"cash_clearing": 0, "receivable": 0, "refunds": 2985, "revenue": -2985}
    told = Event.objects.filter(subject_id__in=[refund.pk, payment.pk]).order_by("id").values_list("type", flat=True)
    assert list(told) == ["billing.payment.succeeded", "billing.refund.succeeded", "billing.payment.refunded"]
    assert list(books.findings()) == []


def test_refuses_more_than_is_left() -> None:
    payment = paid()
    give_back(payment, 2000, "first")
    with pytest.raises(AmountTooLarge) as refused:
        give_back(payment, 986, "second")
    assert refused.value.extra == {"remaining_minor": 985}
    give_back(payment, 985, "third")
    with pytest.raises(AmountTooLarge):
        give_back(payment, None, "fourth")


def test_refuses_another_currency_and_a_payment_that_failed() -> None:
    with pytest.raises(PaymentCurrencyMismatch):
        refunds.create(actor=SYSTEM, payment=paid(), operation_key="k", now=NOW, money=Money(1, "EUR"))
    with pytest.raises(InvalidTransition):
        give_back(paid("tok_card_declined"))


def test_returns_the_same_refund_for_the_same_key_and_refuses_another_body() -> None:
    payment = paid()
    assert give_back(payment, 10).pk == give_back(payment, 10).pk
    with pytest.raises(IdempotencyReused):
        give_back(payment, 11)


def test_frees_the_amount_when_the_provider_refuses() -> None:
    payment = paid("tok_refund_fails")
    refund = give_back(payment)
    payment.refresh_from_db()
    assert (refund.status, refund.failure_code, payment.refunded_minor) == ("failed", "account_closed", 0)
    assert refunds.remaining(payment).minor == 2985
    assert list(books.findings()) == []


def test_asks_what_became_of_a_refund_whose_answer_was_lost() -> None:
    payment = paid("tok_refund_timeout_after")
    assert give_back(payment).status == "succeeded"
    payment.refresh_from_db()
    assert payment.refunded_minor == 2985


def test_is_for_staff_only() -> None:
    with pytest.raises(AppError):
        refunds.create(actor=ANONYMOUS, payment=paid(), operation_key="k", now=NOW)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(min_value=1, max_value=2000), min_size=1, max_size=8))
def test_never_gives_back_more_than_was_paid_whatever_is_asked_for(amounts: list[int]) -> None:
    payment = paid()
    given_back = 0
    for number, minor in enumerate(amounts):
        if minor <= 2985 - given_back:
            give_back(payment, minor, f"{payment.pk}:{number}")
            given_back += minor
        else:
            with pytest.raises(AmountTooLarge):
                give_back(payment, minor, f"{payment.pk}:{number}")
    payment.refresh_from_db()
    assert payment.refunded_minor == given_back == sum(refund.amount_minor for refund in payment.refunds.all())
    assert list(books.findings()) == []
