"""An API client goes the whole way: from signing up to being signed out, against the running product."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.journeys.house import House, ok, soon

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.journey]

ADA = {"email": "ada@analytical.example", "password": "notes on the <b>engine</b> 1843", "name": "Ada Lovelace"}


def test_buys_cancels_comes_back_and_signs_out(house: House) -> None:
    tokens = _sign_up(house)
    with house.client(tokens["access_token"]) as client:
        client.headers["X-Organization"] = _found_an_organization(client)
        customer, price = _become_a_customer(client), _choose(client)
        subscription = _subscribe_and_pay(client, customer, price)
        _change_ones_mind(client, subscription)
        _read_the_books(client, customer, subscription)
        _read_the_log(client, subscription)
        _leave(house, client, tokens)


def _sign_up(house: House) -> dict[str, Any]:
    with house.client() as nobody:
        assert nobody.get("/me").status_code == 401
        assert ok(nobody.post("/auth/sign-up", json=ADA), 202) == {"status": "verification_pending"}
        login = {"email": ADA["email"], "password": ADA["password"]}
        # The password is right, and still nobody is in before the address is proven.
        assert ok(nobody.post("/auth/login", json=login), 202) == {"status": "verification_pending"}
        token = house.token_mailed_to(ADA["email"])
        assert ok(nobody.post("/auth/verify-email", json={"token": token})) == {"status": "verified"}
        spent = nobody.post("/auth/verify-email", json={"token": token})
        assert (spent.status_code, spent.json()["code"]) == (400, "invalid_mail_token")
        tokens = ok(nobody.post("/auth/login", json=login))
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
    return tokens


def _found_an_organization(client: httpx.Client) -> str:
    assert ok(client.get("/me"))["email"] == ADA["email"]
    made = ok(client.post("/organizations", json={"name": "Analytical Engines"}), 201)
    assert [each["id"] for each in ok(client.get("/organizations"))["data"]] == [made["id"]]
    members = ok(client.get(f"/organizations/{made['id']}/members"))["data"]
    assert [(each["email"], each["role"]) for each in members] == [(ADA["email"], "owner")]
    return str(made["id"])


def _choose(client: httpx.Client) -> dict[str, Any]:
    products = {each["name"]: each["id"] for each in ok(client.get("/products"))["data"]}
    found = ok(client.get("/prices", params={"product_id": products["Team"], "currency": "USD"}))["data"]
    assert [(each["amount_minor"], each["interval"]) for each in found] == [(4900, "month")]
    same = ok(client.get("/prices", params={"lookup_key": "team-usd-month"}))["data"]
    assert same == found
    return dict(found[0])


def _become_a_customer(client: httpx.Client) -> dict[str, Any]:
    sellers = ok(client.get("/billing-entities"))["data"]
    body = {"name": "Analytical Engines", "email": "bills@analytical.example", "time_zone": "Europe/London"}
    made = ok(client.post("/customers", json={**body, "billing_entity_id": sellers[0]["id"]}), 201)
    assert made["currency"] == sellers[0]["default_currency"]
    assert made["organization_id"] == client.headers["X-Organization"]
    return made


def _subscribe_and_pay(client: httpx.Client, customer: dict[str, Any], price: dict[str, Any]) -> str:
    order = {"customer_id": customer["id"], "items": [{"price_id": price["id"], "quantity": 2}]}
    shown = ok(client.post("/subscriptions/preview", json=order))
    assert (shown["total_minor"], shown["currency"]) == (9800, "USD")
    assert client.post("/subscriptions", json=order).json()["code"] == "idempotency_key_required"
    key = {"Idempotency-Key": str(uuid4())}
    made = ok(client.post("/subscriptions", json=order, headers=key), 201)
    again = client.post("/subscriptions", json=order, headers=key)
    assert (again.json()["id"], again.headers["Idempotent-Replayed"]) == (made["id"], "true")
    assert made["status"] == "incomplete"  # nobody has paid yet
    invoice = ok(client.get("/invoices", params={"subscription_id": made["id"]}))["data"][0]
    assert (invoice["status"], invoice["amount_due_minor"]) == ("open", 9800)
    _pay(client, customer, invoice)
    paid = ok(client.get(f"/subscriptions/{made['id']}"))
    assert (paid["status"], paid["access"]) == ("active", "granted")
    return str(made["id"])


def _pay(client: httpx.Client, customer: dict[str, Any], invoice: dict[str, Any]) -> None:
    methods, pay = f"/customers/{customer['id']}/payment-methods", f"/invoices/{invoice['id']}/pay"
    without = client.post(pay, json={}, headers={"Idempotency-Key": str(uuid4())})
    assert (without.status_code, without.json()["code"]) == (422, "payment_method_unusable")
    broken = ok(client.post(methods, json={"token": "tok_card_declined", "label": "Old card"}), 201)
    declined = client.post(pay, json={}, headers={"Idempotency-Key": str(uuid4())})
    problem = declined.json()
    assert (declined.status_code, problem["code"], problem["decline_code"]) == (
        402,
        "payment_declined",
        "card_declined",
    )
    assert client.post(f"{methods}/{broken['id']}/detach").status_code == 200
    good = ok(client.post(methods, json={"token": "tok_success", "label": "Visa 4242"}), 201)
    assert ok(client.get(f"/customers/{customer['id']}"))["default_payment_method_id"] == good["id"]
    payment = ok(client.post(pay, json={}, headers={"Idempotency-Key": str(uuid4())}), 201)
    assert (payment["status"], payment["amount_minor"]) == ("succeeded", 9800)
    once_more = client.post(pay, json={}, headers={"Idempotency-Key": str(uuid4())})
    assert (once_more.status_code, once_more.json()["code"]) == (409, "invoice_already_paid")


def _change_ones_mind(client: httpx.Client, subscription: str) -> None:
    def command(name: str, **body: Any) -> httpx.Response:
        return client.post(f"/subscriptions/{subscription}/{name}", json=body)

    ends = ok(command("cancel", reason="Too dear"))
    assert (ends["status"], ends["cancel_at_period_end"], ends["cancel_reason"]) == ("active", True, "Too dear")
    assert ok(command("undo-cancel"))["cancel_at_period_end"] is False
    ended = ok(command("cancel", at_period_end=False))
    assert (ended["status"], ended["allowed_commands"]) == ("canceled", ["reactivate"])
    refused = command("pause")
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "invalid_transition")
    assert (problem["current_status"], problem["command"]) == ("canceled", "pause")
    assert problem["allowed_commands"] == ["reactivate"]
    explained = httpx.get(client.base_url.join(problem["type"]))
    assert (explained.status_code, "invalid_transition" in explained.text) == (200, True)
    assert ok(client.get(f"/subscriptions/{subscription}")) == ended
    assert ok(command("reactivate"))["status"] == "incomplete"


def _read_the_books(client: httpx.Client, customer: dict[str, Any], subscription: str) -> None:
    def paid() -> list[Any]:
        found = ok(client.get("/invoices", params={"customer_id": customer["id"]}))["data"]
        return found if [each["status"] for each in found] == ["paid", "paid"] else []

    invoices = soon(paid)  # the worker collects the second one
    assert sorted(each["number"] for each in invoices) == ["EX-000001", "EX-000002"]
    payments = ok(client.get("/payments", params={"subscription_id": subscription}))["data"]
    assert sorted(each["status"] for each in payments) == ["failed", "succeeded", "succeeded"]
    assert all(each["subscription_ids"] == [subscription] for each in payments)
    one = client.get(f"/invoices/{invoices[0]['id']}")
    assert one.json() == invoices[0]
    known = client.get(f"/invoices/{invoices[0]['id']}", headers={"If-None-Match": one.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")


def _read_the_log(client: httpx.Client, subscription: str) -> None:
    page = ok(client.get("/audit/events", params={"subject": subscription, "limit": 100}))
    events = page["data"][::-1]
    names = [each["type"].removeprefix("billing.subscription.") for each in events]
    assert names[0] == "created"
    assert names.count("activated") == 2, names
    for name in ("cancellation_scheduled", "cancellation_undone", "canceled", "reactivated"):
        assert names.count(name) == 1, names
    me = ok(client.get("/me"))["id"]
    own = [each for each in events if each["type"].endswith("canceled")]
    assert own[0]["actor"] == {"type": "user", "id": me}
    assert (own[0]["before"]["status"], own[0]["after"]["status"]) == ("active", "canceled")
    assert [each["data"]["reason"] for each in events if each["data"].get("reason")] == ["Too dear"]
    mine = ok(client.get("/audit/events", params={"actor": me, "limit": 100}))["data"]
    refused = [each for each in mine if each["type"] == "core.command.refused"]
    assert "billing.subscription.pause" in str(refused)


def _leave(house: House, client: httpx.Client, tokens: dict[str, Any]) -> None:
    fresh = ok(client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}))
    spent = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert (spent.status_code, spent.json()["code"]) == (409, "token_already_rotated")
    client.headers["Authorization"] = f"Bearer {fresh['access_token']}"
    elsewhere = house.sign_in(ADA["email"], ADA["password"])
    sessions = ok(client.get("/auth/sessions"))["data"]
    assert [each["is_current"] for each in sessions] == [False, True]
    assert client.delete(f"/auth/sessions/{sessions[0]['id']}").status_code == 204
    with house.client(elsewhere["access_token"]) as other:
        assert other.get("/me").status_code == 401
    assert client.post("/auth/logout").status_code == 204
    refused = client.get("/me")
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert client.post("/auth/refresh", json={"refresh_token": fresh["refresh_token"]}).status_code == 401
