"""Who sells, over HTTP."""

from __future__ import annotations

from typing import Any

from accounts.models import User
from billing.models import BillingEntity

URL = "/api/v1/billing-entities"
BODY = {"legal_name": "Example GmbH", "country": "DE", "default_currency": "EUR", "invoice_prefix": "EX"}


def test_shows_buyers_who_sells(api: Any, owner: User, billing_entity: BillingEntity) -> None:
    found = api(owner).get(URL).json()["data"]
    assert [each["id"] for each in found] == [billing_entity.public_id]
    assert found[0]["default_currency"] == "USD"
    one = api(owner).get(f"{URL}/{billing_entity.public_id}")
    assert one.json() == found[0]


def test_lets_staff_alone_set_one_up(api: Any, owner: User, staff: User) -> None:
    assert api(owner).post(URL, BODY).status_code == 403
    made = api(staff).post(URL, BODY)
    assert made.status_code == 201, made.content
    again = api(staff).post(URL, BODY)
    assert (again.status_code, again.json()["errors"][0]["pointer"]) == (400, "/invoice_prefix")
    odd = api(staff).post(URL, {**BODY, "country": "Germany", "default_currency": "EURO"})
    assert {fault["pointer"] for fault in odd.json()["errors"]} == {"/country", "/default_currency"}


def test_asks_customers_to_choose_among_several(api: Any, staff: User, billing_entity: BillingEntity) -> None:
    client = api(staff)
    other = client.post(URL, BODY).json()["id"]
    refused = client.post("/api/v1/customers", {"name": "Ada"})
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/billing_entity_id"]
    made = client.post("/api/v1/customers", {"name": "Ada", "billing_entity_id": other})
    assert (made.json()["billing_entity_id"], made.json()["currency"]) == (other, "EUR")
