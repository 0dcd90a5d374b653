"""The box on every page: finds by the beginning, goes straight to a pasted id, and never takes long."""

from __future__ import annotations

import time
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from core import palette
from core.admin.html import admin_url
from core.ids import encode
from tests.billing import factories
from tests.support.index import index_everything

pytestmark = pytest.mark.django_db


@pytest.fixture
def find(desk: Client):
    def ask(term: str) -> dict:
        index_everything()
        reply = desk.get(reverse("admin:find"), {"q": term})
        assert reply.status_code == 200
        assert "no-store" in reply["Cache-Control"]
        return reply.json()

    return ask


def titles(answer: dict) -> list[str]:
    return [item["title"] for group in answer["groups"] for item in group["items"]]


@pytest.mark.parametrize("term", ["7590-VHVEG", "7590-vh", "hope@exam", "GRACIOUS ho", "ous HOPE", "  hope@exam "])
def test_finds_a_customer(term, find):
    wanted = factories.customer(name="Gracious Hope", email="hope@example.com", external_id="7590-VHVEG", source="t")
    factories.customer(name="Other", email="other@example.com")
    answer = find(term)
    assert titles(answer) == ["Gracious Hope"]
    assert answer["groups"][0]["items"][0]["url"] == admin_url(wanted)


def test_finds_an_invoice_by_its_number_in_any_case(find):
    invoice = factories.invoice()
    assert f"Invoice {invoice.number}" in titles(find(str(invoice.number).lower()))


def test_goes_straight_to_any_id(find):
    running = factories.subscription(factories.customer())
    for row in (running, running.customer, running.customer.billing_entity, running.items.get().price):
        answer = find(row.public_id)
        assert answer["go"] == admin_url(row)


@pytest.mark.parametrize(
    "term",
    ["", "a", encode("sub", UUID(int=7)), encode("zzz", UUID(int=7)), "%%", "__", "\x00\x00", "no\x00body", "x" * 900],
)
def test_finds_nothing_in_what_says_nothing(term, find):
    factories.customer(name="Gracious Hope")
    assert titles(find(term)) == []


def test_finds_what_is_misspelt(find):
    factories.customer(name="Gracious Hope")
    assert titles(find("gracoius hoep")) == ["Gracious Hope"]


def test_shows_kinds_in_their_order_with_states(find):
    running = factories.subscription(factories.customer(name="Gracious Hope"))
    factories.invoice(running.customer)
    groups = find("gracious hope")["groups"]
    assert [group["kind"] for group in groups] == ["Customers", "Subscriptions", "Invoices"]
    assert groups[0]["items"][0]["state"] == ""
    assert groups[-1]["items"][0]["state"] == "open"
    assert groups[-1]["items"][0]["tone"] == "info"


def test_finds_what_was_made_just_now_by_its_id(desk: Client):
    made = factories.customer(name="Just Now")  # nothing has indexed it
    answer = desk.get(reverse("admin:find"), {"q": made.public_id}).json()
    assert answer["go"] == admin_url(made)


def test_asks_the_index_twice_for_5_and_for_50(desk: Client):
    entity = factories.entity()
    counts = []
    for number in (5, 45):
        for each in range(number):
            factories.customer(name=f"Hope {each}", billing_entity=entity, token=None)
        index_everything()
        with CaptureQueriesContext(connection) as asked:
            desk.get(reverse("admin:find"), {"q": "hope"})
        counts.append(len([each for each in asked.captured_queries if "search_" in each["sql"]]))
    assert counts == [4, 2]  # the second time the words as typed fill the box


def test_finds_at_most_ten_of_a_kind(find):
    entity = factories.entity()
    for number in range(15):
        factories.customer(name=f"Hope {number}", billing_entity=entity, token=None)
    assert len(titles(find("hope"))) == palette.FOUND_OF_A_KIND


def test_asks_indexes(desk: Client):
    from billing.models import Customer
    from core.admin.lists import begins_with, contains

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for field in ("name", "email", "external_id"):
            plan = begins_with(Customer.objects.order_by(), field, "hope")[:10].explain()
            assert f"billing_customer_{field}" in plan, plan
        plan = contains(Customer.objects.order_by(), "name", "hope")[:10].explain()
        assert "billing_customer_name_part" in plan, plan


def test_gives_up_in_time_and_says_so(find, monkeypatch):
    def slow(term: str, limit: int) -> list[palette.Finding]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(30)")
        return []

    monkeypatch.setitem(palette._finders, "Slow things", palette.Finder("Slow things", "bolt", slow, order=0))
    start = time.monotonic()
    answer = find("hope")
    assert time.monotonic() - start < 15
    assert answer["is_complete"] is False


def test_answers_staff_only(owner: User):
    client = Client()
    assert client.get(reverse("admin:find"), {"q": "hope"}).status_code == 302
    client.force_login(owner)
    assert client.get(reverse("admin:find"), {"q": "hope"}).status_code == 302


def test_stands_on_every_page(desk: Client):
    running = factories.subscription(factories.customer())
    for address in (reverse("admin:index"), reverse("admin:billing_customer_changelist"), admin_url(running)):
        assert 'id="ch-palette"' in desk.get(address).content.decode()
