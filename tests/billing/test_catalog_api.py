"""Products and prices: staff write, the signed-in see what is on offer."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from billing.models import Price, Product
from tests.billing import factories

pytestmark = pytest.mark.django_db


def test_lets_staff_create_products_and_prices(api: Any, staff: Any) -> None:
    client = api(staff)
    product = client.post("/api/v1/products", {"name": "Team plan"})
    assert product.status_code == 201, product.content
    body = {"product_id": product.json()["id"], "amount_minor": 4900, "currency": "EUR", "interval": "year"}
    price = client.post("/api/v1/prices", body)
    assert price.status_code == 201, price.content
    assert (price.json()["amount_minor"], price.json()["interval"], price.json()["is_listed"]) == (4900, "year", True)


@pytest.mark.parametrize(
    ("field", "value"),
    [("amount_minor", -1), ("amount_minor", "12"), ("currency", "XXQ"), ("interval", "hour"), ("interval_count", 0)],
)
def test_refuses_a_price_that_cannot_be(api: Any, staff: Any, product: Product, field: str, value: Any) -> None:
    body = {"product_id": product.public_id, "amount_minor": 1, "currency": "USD", field: value}
    reply = api(staff).post("/api/v1/prices", body)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["pointer"] == f"/{field}"


def test_refuses_a_lookup_key_that_is_taken(api: Any, staff: Any, product: Product) -> None:
    body = {"product_id": product.public_id, "amount_minor": 1, "currency": "USD", "lookup_key": "team"}
    client = api(staff)
    assert client.post("/api/v1/prices", body).status_code == 201
    reply = client.post("/api/v1/prices", body)
    assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "taken")


def test_shows_the_signed_in_only_what_is_on_offer(api: Any, owner: Any, staff: Any, product: Product) -> None:
    listed = factories.price(product=product)
    hidden = factories.price(product=product, is_listed=False)
    old = factories.price(product=product, is_active=False)
    mine = api(owner)
    assert [row["id"] for row in mine.get("/api/v1/prices").json()["data"]] == [listed.public_id]
    assert mine.get(f"/api/v1/prices/{hidden.public_id}").status_code == 404
    assert len(api(staff).get("/api/v1/prices").json()["data"]) == 3
    assert old.pk


def test_lets_nobody_else_write(api: Any, owner: Any, product: Product) -> None:
    client = api(owner)
    assert client.post("/api/v1/products", {"name": "Mine"}).status_code == 403
    assert client.patch(f"/api/v1/products/{product.public_id}", {"name": "Mine"}).status_code == 403
    assert api().get("/api/v1/products").status_code == 401


def test_changes_a_price_until_it_is_used(api: Any, staff: Any, customer: Any, price: Price) -> None:
    client = api(staff)
    url = f"/api/v1/prices/{price.public_id}"
    assert client.patch(url, {"amount_minor": 100}).status_code == 200
    factories.subscription(customer, price)
    reply = client.patch(url, {"amount_minor": 200})
    assert (reply.status_code, reply.json()["code"]) == (409, "price_in_use")
    assert client.patch(url, {"is_active": False}).json()["is_active"] is False


def test_refuses_a_changed_amount_in_the_database_too(customer: Any, price: Price) -> None:
    factories.subscription(customer, price)
    with pytest.raises(IntegrityError, match="cannot change"), transaction.atomic():
        Price.objects.filter(pk=price.pk).update(amount_minor=1)


def test_refuses_a_stale_edit(api: Any, staff: Any, product: Product) -> None:
    client = api(staff)
    url = f"/api/v1/products/{product.public_id}"
    tag = client.get(url)["ETag"]
    assert client.patch(url, {"name": "Second"}, HTTP_IF_MATCH=tag).status_code == 200
    reply = client.patch(url, {"name": "Third"}, HTTP_IF_MATCH=tag)
    assert (reply.status_code, reply.json()["code"]) == (412, "stale_version")


@pytest.mark.django_db(transaction=True)
def test_shows_a_change_at_once(api: Any, staff: Any, owner: Any, product: Product) -> None:
    mine, theirs = api(owner), api(staff)
    hidden = factories.price(product=product, is_listed=False)
    assert len(theirs.get("/api/v1/prices").json()["data"]) == 1
    assert mine.get("/api/v1/prices").json()["data"] == []  # not what staff were shown
    assert mine.get("/api/v1/products").json()["data"][0]["name"] == "Team plan"
    theirs.patch(f"/api/v1/products/{product.public_id}", {"name": "Renamed"})
    theirs.patch(f"/api/v1/prices/{hidden.public_id}", {"is_listed": True})
    assert mine.get("/api/v1/products").json()["data"][0]["name"] == "Renamed"
    assert len(mine.get("/api/v1/prices").json()["data"]) == 1
