"""Invoices, payments and refunds over the API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import Customer, Invoice, Payment, Refund
from billing.providers import local
from core.ids import new_id
from tests.billing import factories

pytestmark = pytest.mark.django_db


def post(client: Any, path: str, body: dict[str, Any] | None = None, key: str | None = "") -> Any:
    headers = {} if key is None else {"HTTP_IDEMPOTENCY_KEY": key or new_id().hex}
    return client.post(f"/api/v1/{path}", body or {}, **headers)


@pytest.fixture
def invoice(customer: Customer) -> Invoice:
    return factories.invoice(customer)


@pytest.fixture
def mine(api: Any, owner: Any) -> Any:
    return api(owner)


@pytest.fixture
def staff_client(api: Any, staff: Any) -> Any:
    return api(staff)


def test_shows_an_invoice_with_its_lines(mine: Any, invoice: Invoice) -> None:
    body = mine.get(f"/api/v1/invoices/{invoice.public_id}").json()
    line = invoice.lines.get()
    assert body["number"] == "INV-000001"
    assert (body["status"], body["total_minor"], body["amount_due_minor"]) == ("open", 2985, 2985)
    assert body["lines"][0]["subscription_id"] == line.subscription.public_id
    assert body["allowed_commands"] == ["mark_uncollectible", "pay", "void"]


def test_hides_invoices_payments_and_refunds_from_the_organisation_next_door(
    api: Any, mine: Any, staff_client: Any, stranger: Any, invoice: Invoice
) -> None:
    payment = post(mine, f"invoices/{invoice.public_id}/pay").json()
    refund = post(staff_client, "refunds", {"payment_id": payment["id"]}).json()
    other = api(stranger)
    for path in (f"invoices/{invoice.public_id}", f"payments/{payment['id']}", f"refunds/{refund['id']}"):
        assert mine.get(f"/api/v1/{path}").status_code == 200
        assert other.get(f"/api/v1/{path}").status_code == 404
        assert other.get(f"/api/v1/{path.split('/')[0]}").json()["data"] == []
    assert post(other, f"invoices/{invoice.public_id}/pay").status_code == 404
    assert post(other, "payments", {"invoice_id": invoice.public_id}).status_code == 400


def test_pays_and_names_the_subscriptions_that_were_paid(mine: Any, invoice: Invoice) -> None:
    reply = post(mine, f"invoices/{invoice.public_id}/pay")
    body = reply.json()
    assert reply.status_code == 201, body
    assert (body["status"], body["amount_minor"], body["refunded_minor"]) == ("succeeded", 2985, 0)
    assert body["subscription_ids"] == [invoice.lines.get().subscription.public_id]
    assert body["allocations"] == [{"invoice_id": invoice.public_id, "amount_minor": 2985}]
    assert reply["Location"] == f"/api/v1/payments/{body['id']}"
    assert mine.get(reply["Location"]).json() == body


def test_needs_an_idempotency_key_where_money_moves(mine: Any, staff_client: Any, invoice: Invoice) -> None:
    for client, path, body in [
        (mine, f"invoices/{invoice.public_id}/pay", {}),
        (mine, "payments", {"invoice_id": invoice.public_id}),
        (staff_client, "refunds", {"payment_id": "pay_00000000000000000000000000"}),
    ]:
        reply = post(client, path, body, key=None)
        assert (reply.status_code, reply.json()["code"]) == (428, "idempotency_key_required")
    assert not Payment.objects.exists()


def test_answers_the_same_key_with_the_same_bytes_and_another_body_with_422(mine: Any, invoice: Invoice) -> None:
    first = post(mine, "payments", {"invoice_id": invoice.public_id}, key="one")
    again = post(mine, "payments", {"invoice_id": invoice.public_id}, key="one")
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert again["Idempotent-Replayed"] == "true"
    other = post(mine, "payments", {"invoice_id": invoice.public_id, "amount_minor": 1, "currency": "USD"}, key="one")
    assert other.status_code == 422
    assert Payment.objects.count() == 1


def test_answers_a_decline_with_402_and_keeps_it_for_the_key(mine: Any, customer: Customer, invoice: Invoice) -> None:
    bad = factories.method(customer, "tok_insufficient_funds")
    body = {"payment_method_id": bad.public_id}
    reply = post(mine, f"invoices/{invoice.public_id}/pay", body, key="one")
    problem = reply.json()
    assert (reply.status_code, problem["code"]) == (402, "payment_declined")
    assert problem["decline_code"] == "insufficient_funds"
    assert problem["payment_id"] == Payment.objects.get().public_id
    assert post(mine, f"invoices/{invoice.public_id}/pay", body, key="one").content == reply.content
    assert post(mine, f"invoices/{invoice.public_id}/pay", key="two").status_code == 201


def test_shows_what_the_provider_said_as_plain_text_in_a_field_of_its_own(
    mine: Any, customer: Customer, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(local.DECLINES, "card_declined", "Dev Error: &quot;don&#39;t honour&quot;")
    bad = factories.method(customer, "tok_card_declined")
    problem = post(mine, f"invoices/{invoice.public_id}/pay", {"payment_method_id": bad.public_id}).json()
    assert (problem["code"], problem["decline_code"]) == ("payment_declined", "card_declined")
    assert problem["detail"] == "The payment was declined: card_declined."
    assert problem["provider_message"] == 'Dev Error: "don\'t honour"'
    shown = mine.get(f"/api/v1/payments/{problem['payment_id']}").json()
    assert shown["failure_message"] == problem["provider_message"]


def test_says_502_when_the_provider_speaks_of_something_else(
    mine: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = local.SandboxProvider.charge
    monkeypatch.setattr(
        local.SandboxProvider, "charge", lambda self, **asked: replace(right(self, **asked), amount_minor=1)
    )
    reply = post(mine, f"invoices/{invoice.public_id}/pay")
    assert (reply.status_code, reply.json()["code"]) == (502, "provider_answer_invalid")
    assert Payment.objects.get().status == "unknown"
    invoice.refresh_from_db()
    assert (invoice.status, invoice.amount_paid_minor) == ("open", 0)


def test_answers_202_while_the_provider_is_silent(mine: Any, customer: Customer, invoice: Invoice) -> None:
    lost = factories.method(customer, "tok_timeout_before_charge")
    reply = post(mine, f"invoices/{invoice.public_id}/pay", {"payment_method_id": lost.public_id})
    assert (reply.status_code, reply.json()["status"]) == (202, "unknown")
    assert mine.get(reply["Location"]).json()["status"] == "unknown"
    blocked = post(mine, f"invoices/{invoice.public_id}/pay")
    assert (blocked.status_code, blocked.json()["code"]) == (409, "payment_in_progress")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"amount_minor": 2986, "currency": "USD"}, 422, "amount_too_large"),
        ({"amount_minor": 1, "currency": "EUR"}, 422, "payment_currency_mismatch"),
        ({"amount_minor": 1}, 400, "invalid_input"),
        ({"currency": "USD"}, 400, "invalid_input"),
        ({"amount_minor": 0, "currency": "USD"}, 400, "invalid_input"),
        ({"amount_minor": "1", "currency": "USD"}, 400, "invalid_input"),
        ({"amount_minor": 1.5, "currency": "USD"}, 400, "invalid_input"),
        ({"subscription_id": "sub_x"}, 400, "invalid_input"),
    ],
)
def test_refuses_what_does_not_fit(mine: Any, invoice: Invoice, body: dict[str, Any], status: int, code: str) -> None:
    reply = post(mine, "payments", {"invoice_id": invoice.public_id, **body})
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert not Payment.objects.exists()


def test_says_that_an_invoice_is_paid(mine: Any, invoice: Invoice) -> None:
    post(mine, f"invoices/{invoice.public_id}/pay")
    reply = post(mine, f"invoices/{invoice.public_id}/pay")
    assert (reply.status_code, reply.json()["code"], reply.json()["current_status"]) == (
        409,
        "invoice_already_paid",
        "paid",
    )


def test_lets_a_plain_member_look_and_not_pay(api: Any, team_mate: Any, invoice: Invoice) -> None:
    client = api(team_mate)
    assert client.get(f"/api/v1/invoices/{invoice.public_id}").status_code == 200
    assert post(client, f"invoices/{invoice.public_id}/pay").status_code == 403


def test_gives_back_by_staff_only(mine: Any, staff_client: Any, invoice: Invoice) -> None:
    payment = post(mine, f"invoices/{invoice.public_id}/pay").json()
    body = {"payment_id": payment["id"], "amount_minor": 985, "currency": "USD", "reason": "duplicate"}
    assert post(mine, "refunds", body).status_code == 403
    reply = post(staff_client, "refunds", body)
    assert (reply.status_code, reply.json()["status"], reply.json()["reason"]) == (201, "succeeded", "duplicate")
    assert mine.get(f"/api/v1/payments/{payment['id']}").json()["refunded_minor"] == 985
    too_much = post(staff_client, "refunds", {**body, "amount_minor": 2001})
    assert (too_much.status_code, too_much.json()["code"]) == (422, "amount_too_large")
    assert Refund.objects.count() == 1


def test_answers_402_when_the_provider_refuses_a_refund(mine: Any, staff_client: Any, customer: Customer) -> None:
    method = factories.method(customer, "tok_refund_fails")
    invoice = factories.invoice(customer)
    payment = post(mine, f"invoices/{invoice.public_id}/pay", {"payment_method_id": method.public_id}).json()
    reply = post(staff_client, "refunds", {"payment_id": payment["id"]})
    assert (reply.status_code, reply.json()["failure_code"]) == (402, "account_closed")


def test_voids_and_writes_off_by_staff_only(mine: Any, staff_client: Any, customer: Customer) -> None:
    for verb, status in (("void", "void"), ("mark-uncollectible", "uncollectible")):
        path = f"invoices/{factories.invoice(customer).public_id}/{verb}"
        assert post(mine, path, {"reason": "no"}).status_code == 403
        assert post(staff_client, path, {"reason": "wrong"}).json()["status"] == status
        refused = post(staff_client, path, {"reason": "again"})
        assert (refused.status_code, refused.json()["current_status"]) == (409, status)


def test_refuses_to_finalise_what_is_open(staff_client: Any, invoice: Invoice) -> None:
    reply = post(staff_client, f"invoices/{invoice.public_id}/finalize")
    assert (reply.status_code, reply.json()["current_status"]) == (409, "open")


def test_filters_lists(mine: Any, customer: Customer) -> None:
    one, two = factories.invoice(customer), factories.invoice(customer)
    payment = post(mine, f"invoices/{one.public_id}/pay").json()
    running = one.lines.get().subscription.public_id

    def ids(path: str) -> list[str]:
        reply = mine.get(f"/api/v1/{path}")
        assert reply.status_code == 200, reply.content
        return [row["id"] for row in reply.json()["data"]]

    assert ids("invoices") == [two.public_id, one.public_id]
    assert ids("invoices?status=open") == [two.public_id]
    assert ids(f"invoices?number={one.number}") == [one.public_id]
    assert ids(f"invoices?subscription_id={running}") == [one.public_id]
    assert ids(f"invoices?customer_id={customer.public_id}&status=paid") == [one.public_id]
    assert ids(f"payments?invoice_id={one.public_id}") == [payment["id"]]
    assert ids(f"payments?invoice_id={two.public_id}") == []
    assert ids(f"payments?subscription_id={running}&status=succeeded") == [payment["id"]]
    assert mine.get("/api/v1/invoices?colour=red").status_code == 400


@pytest.mark.parametrize("path", ["invoices", "payments", "refunds"])
def test_asks_the_database_as_often_for_many_rows_as_for_few(
    mine: Any, staff_client: Any, customer: Customer, path: str
) -> None:
    counts = []
    for _ in range(2):
        for _ in range(5):
            invoice = factories.invoice(customer)
            payment = post(mine, f"invoices/{invoice.public_id}/pay").json()
            post(staff_client, "refunds", {"payment_id": payment["id"], "amount_minor": 5, "currency": "USD"})
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert mine.get(f"/api/v1/{path}?limit=100").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 9
