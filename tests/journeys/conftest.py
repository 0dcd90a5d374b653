"""The whole product as processes, and a seller who has something to sell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cast import new_person
from tests.journeys.house import STAFF, House
from tests.support.processes import Processes, free_port


@pytest.fixture
def house(processes: Processes, tmp_path: Path, transactional_db: None) -> House:
    """Web, worker, relay and live streams, with what staff have put on sale over the same API."""
    mails, port = tmp_path / "mails", free_port()
    streams_url = f"http://127.0.0.1:{port}"
    variables = {"MAIL_URL": f"file:{mails}", "RATE_LIMIT_SCALE": "1000", "STREAMS_URL": streams_url}
    house = House(processes.web(**variables), mails)
    variables["PUBLIC_URL"] = house.url
    processes.streams(port=port, **variables)
    processes.relay(**variables)
    processes.worker(**variables)
    new_person(STAFF, is_staff=True, name="Stella Staff")
    with house.client(house.sign_in(STAFF)["access_token"]) as staff:
        seller = {"legal_name": "Example Inc.", "country": "US", "default_currency": "USD", "invoice_prefix": "EX"}
        assert staff.post("/billing-entities", json=seller).status_code == 201
        for name, amount in (("Starter", 1900), ("Team", 4900)):
            product = staff.post("/products", json={"name": name, "description": f"For {name.lower()}s."})
            assert product.status_code == 201, product.text
            price = {"product_id": product.json()["id"], "amount_minor": amount, "currency": "USD"}
            made = staff.post("/prices", json={**price, "lookup_key": f"{name.lower()}-usd-month"})
            assert made.status_code == 201, made.text
    return house
