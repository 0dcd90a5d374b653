"""The site: who gets in, what stands on the dashboard, and what an empty house says."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from core import cache, clock
from tests.billing import factories
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(desk: Client):
    def get(name: str = "admin:index") -> str:
        reply = desk.get(reverse(name))
        assert reply.status_code == 200
        return html.unescape(reply.content.decode())

    return get


@pytest.mark.parametrize("name", ["admin:index", "admin:find", "admin:billing_customer_changelist"])
def test_sends_a_customer_of_ours_back_to_the_sign_in(name, owner: User):
    client = Client()
    client.force_login(owner)
    reply = client.get(reverse(name))
    assert reply.status_code == 302
    assert reply["Location"].startswith(reverse("admin:login"))


def test_lets_staff_sign_in_by_e_mail_and_notes_it(staff: User):
    client = Client()
    reply = client.post(
        reverse("admin:login"), {"username": staff.email, "password": PASSWORD, "next": "/admin/"}, follow=True
    )
    assert reply.redirect_chain[-1][0] == reverse("admin:index")
    assert "A staff member signed in to the admin." in reply.content.decode()


def test_says_what_to_do_while_there_are_no_customers(page):
    shown = page()
    assert "No customers yet: import them" in shown
    assert "python3 manage.py import_customers FILE --mapping MAPPING" in shown
    assert "<canvas" not in shown


def test_shows_the_figures_exactly(page):
    start = clock.now() - timedelta(days=3)
    owner = factories.customer()
    factories.subscription(owner, factories.price(amount_minor=2985), start=start)
    factories.subscription(owner, factories.price(amount_minor=120000, interval="year"), start=start)
    factories.subscription(owner, factories.price(amount_minor=999), status="paused", start=start)
    shown = page()
    assert "$129.85" in shown  # 29.85 + 1200 / 12
    assert shown.count("<canvas") == 2  # revenue, begun and ended; no payment yet
    assert "No payment was made within 30 days." in shown


def test_says_what_stands_outside_of_the_series(page):
    owner = factories.customer()
    factories.subscription(owner)
    factories.subscription(owner, status="canceled", is_end_known=False, ended_at=None)
    assert "without 1 that ended on a day nobody knows" in page()


def test_shows_each_currency(page):
    for currency in ("USD", "EUR"):
        owner = factories.customer(currency=currency)
        factories.subscription(owner, factories.price(currency=currency, amount_minor=1000))
    shown = page()
    assert "Monthly recurring revenue, EUR" in shown
    assert "Monthly recurring revenue, USD" in shown


def test_takes_the_same_queries_for_few_and_many_customers(desk: Client, django_assert_max_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    desk.get(reverse("admin:index"))  # what the staff member may is known from now on
    counts = []
    for _ in range(2):
        for _ in range(8):
            factories.subscription(factories.customer())
        cache.invalidate("figure")
        with CaptureQueriesContext(connection) as queries:
            assert desk.get(reverse("admin:index")).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 32


def test_asks_for_the_figures_once_a_minute(desk: Client):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    desk.get(reverse("admin:index"))
    with CaptureQueriesContext(connection) as queries:
        desk.get(reverse("admin:index"))
    assert not [query for query in queries if "date_trunc" in query["sql"].lower()]
