"""Customers and payment methods over the API."""

from __future__ import annotations

from typing import Any

import pytest

from audit.models import Event
from billing.models import BillingEntity, Customer
from tests.billing import factories

pytestmark = pytest.mark.django_db
URL = "/api/v1/customers"


@pytest.fixture
def mine(api: Any, owner: Any, organization: Any) -> Any:
    return api(owner)


def test_creates_a_customer_of_the_own_organisation(
    mine: Any, organization: Any, billing_entity: BillingEntity
) -> None:
    reply = mine.post(URL, {"name": "Ada", "email": "ada@example.com", "time_zone": "Europe/Berlin"})
    assert reply.status_code == 201, reply.content
    body = reply.json()
    assert body["organization_id"] == organization.public_id
    assert (body["currency"], body["billing_entity_id"]) == ("USD", billing_entity.public_id)
    event = Event.objects.get(type="billing.customer.created")
    assert "ada@example.com" not in str(event.after)


@pytest.mark.parametrize(
    ("field", "value"), [("time_zone", "Mars/Olympus"), ("currency", "USDX"), ("email", "nobody"), ("colour", "red")]
)
def test_points_at_what_is_wrong(mine: Any, billing_entity: BillingEntity, field: str, value: str) -> None:
    reply = mine.post(URL, {"name": "Ada", field: value})
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["pointer"] == f"/{field}"


def test_refuses_a_customer_for_another_organisation(
    mine: Any, other_organization: Any, billing_entity: BillingEntity
) -> None:
    reply = mine.post(URL, {"name": "Ada", "organization_id": other_organization.public_id})
    assert reply.status_code == 400
    assert not Customer.objects.exists()


def test_lets_a_plain_member_look_and_not_write(api: Any, team_mate: Any, customer: Customer) -> None:
    client = api(team_mate)
    assert client.get(f"{URL}/{customer.public_id}").status_code == 200
    assert client.patch(f"{URL}/{customer.public_id}", {"name": "Mine"}).status_code == 403


def test_hides_the_customers_of_others(api: Any, stranger: Any, customer: Customer) -> None:
    client = api(stranger)
    assert client.get(URL).json()["data"] == []
    assert client.get(f"{URL}/{customer.public_id}").status_code == 404
    assert client.patch(f"{URL}/{customer.public_id}", {"name": "Mine"}).status_code == 404
    assert client.get(f"{URL}/{customer.public_id}/payment-methods").status_code == 404


@pytest.mark.parametrize("text", ["Ada", "ADA L", "ada@ex", "x-17", "id"])
def test_finds_a_customer_by_what_people_know(api: Any, staff: Any, billing_entity: BillingEntity, text: str) -> None:
    found = factories.customer(
        billing_entity=billing_entity, name="Ada Lovelace", email="Ada@example.com", source="crm", external_id="X-17"
    )
    factories.customer(billing_entity=billing_entity, name="Grace", email="grace@example.com")
    reply = api(staff).get(URL, {"search": found.public_id if text == "id" else text})
    assert [row["id"] for row in reply.json()["data"]] == [found.public_id]


def test_keeps_the_currency_once_there_is_a_subscription(mine: Any, customer: Customer) -> None:
    factories.subscription(customer)
    reply = mine.patch(f"{URL}/{customer.public_id}", {"currency": "EUR"})
    assert (reply.status_code, reply.json()["code"]) == (409, "currency_fixed")


def test_adds_and_detaches_a_payment_method(mine: Any, customer: Customer) -> None:
    url = f"{URL}/{customer.public_id}/payment-methods"
    method = mine.post(url, {"token": "tok_success", "kind": "check", "label": "Electronic check"})
    assert method.status_code == 201, method.content
    assert mine.get(f"{URL}/{customer.public_id}").json()["default_payment_method_id"] == method.json()["id"]
    detached = mine.post(f"{url}/{method.json()['id']}/detach", {})
    assert detached.json()["detached_at"] is not None
    assert mine.get(f"{URL}/{customer.public_id}").json()["default_payment_method_id"] is None


def test_takes_no_payment_method_of_another_customer(mine: Any, customer: Customer, organization: Any) -> None:
    other = factories.customer(billing_entity=customer.billing_entity, organization=organization)
    body = {"default_payment_method_id": other.default_payment_method.public_id}
    assert mine.patch(f"{URL}/{customer.public_id}", body).status_code == 400


def test_points_at_the_member_that_names_a_payment_method_of_somebody_else(
    api: Any, owner: Any, customer: Customer
) -> None:
    other = factories.customer(organization=customer.organization).default_payment_method
    assert other is not None
    body = {"default_payment_method_id": other.public_id}
    fault = api(owner).patch(f"/api/v1/customers/{customer.public_id}", body).json()["errors"][0]
    assert (fault["pointer"], fault["code"]) == ("/default_payment_method_id", "not_of_customer")


def test_knows_the_time_zones_of_the_world(api: Any, owner: Any, customer: Customer) -> None:
    url = f"/api/v1/customers/{customer.public_id}"
    assert api(owner).patch(url, {"time_zone": "Asia/Kolkata"}).status_code == 200
    for no_place in ("localtime", "Factory"):
        assert api(owner).patch(url, {"time_zone": no_place}).status_code == 400
    fault = api(owner).patch(url, {"time_zone": "Mars/Olympus"}).json()["errors"][0]
    assert (fault["pointer"], fault["code"]) == ("/time_zone", "unknown_time_zone")
