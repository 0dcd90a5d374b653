"""Lists: as quick for many rows as for few, counted within bounds, searched through indexes."""

from __future__ import annotations

import pytest
from django.contrib.admin import site
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Customer, Subscription
from billing.services import payments, refunds
from core.actor import SYSTEM
from core.admin import EntityAdmin, lists
from core.admin.lists import BoundedPaginator
from tests.billing import factories

pytestmark = pytest.mark.django_db

LISTS = [
    "billing_customer", "billing_subscription", "billing_invoice", "billing_payment", "billing_refund",
    "billing_product", "billing_price", "billing_ledgerentry", "billing_billingentity", "accounts_user",
    "accounts_organization", "accounts_membership", "accounts_invitation", "accounts_session", "accounts_apikey",
    "audit_event", "audit_follower", "core_job", "core_schedule",
]  # fmt: skip


def address(name: str, query: str = "") -> str:
    return reverse(f"admin:{name}_changelist") + query


def fill(count: int) -> None:
    for _ in range(count):
        invoice = factories.invoice()
        payment = payments.create(actor=SYSTEM, invoice=invoice, operation_key=str(invoice.pk), now=factories.NOW)
        refunds.create(actor=SYSTEM, payment=payment, operation_key=f"r{payment.pk}", now=factories.NOW)


@pytest.fixture
def queries_of(desk: Client):
    def count(name: str) -> int:
        desk.get(address(name))  # session, content types and badges are remembered from here on
        with CaptureQueriesContext(connection) as queries:
            assert desk.get(address(name)).status_code == 200
        return len(queries)

    return count


@pytest.mark.django_db(transaction=True)
def test_takes_the_same_queries_for_5_rows_and_for_50(queries_of):
    fill(5)
    few = {name: queries_of(name) for name in LISTS}
    fill(45)
    many = {name: queries_of(name) for name in LISTS}
    assert few == many
    assert max(few.values()) <= 10, few


@pytest.mark.parametrize("name", LISTS)
def test_says_what_to_do_when_there_is_nothing(name, desk: Client):
    reply = desk.get(address(name))
    assert reply.status_code == 200


def test_says_how_to_bring_customers_when_there_are_none(desk: Client):
    shown = desk.get(address("billing_customer")).content.decode()
    assert "No customers yet" in shown
    assert "import_customers FILE --mapping MAPPING" in shown


def test_tells_an_empty_search_from_an_empty_table(desk: Client):
    factories.customer()
    shown = desk.get(address("billing_customer", "?q=nobody")).content.decode()
    assert "Nothing matches" in shown


@pytest.mark.parametrize("term", ["7590", "7590-vhveg", "HOPE@EX", "gracious", "hope"])
def test_finds_a_customer_by_the_beginning_of_what_is_known(term, desk: Client):
    factories.customer(name="Gracious Hope", email="hope@example.com", external_id="7590-VHVEG", source="telco")
    other = factories.customer(name="Somebody else", email="other@example.com")
    shown = desk.get(address("billing_customer", f"?q={term}")).content.decode()
    assert "Gracious Hope" in shown
    assert other.name not in shown


def test_finds_a_row_by_its_whole_id_only_in_its_own_list(desk: Client):
    found = factories.customer(name="Gracious Hope")
    assert found.name in desk.get(address("billing_customer", f"?q={found.public_id}")).content.decode()
    assert "Nothing matches" in desk.get(address("billing_product", f"?q={found.public_id}")).content.decode()


def test_finds_an_invoice_by_its_number(desk: Client):
    wanted, other = factories.invoice(), factories.invoice()
    shown = desk.get(address("billing_invoice", f"?q={wanted.number}")).content.decode()
    assert str(wanted.number) in shown
    assert str(other.number) not in shown


def test_counts_no_further_than_its_bound(monkeypatch):
    monkeypatch.setattr(lists, "COUNTED_AT_MOST", 3)
    owner = factories.entity()
    for _ in range(5):
        factories.customer(billing_entity=owner)
    pages = BoundedPaginator(Customer.objects.filter(billing_entity=owner).order_by("-id"), 2)
    with CaptureQueriesContext(connection) as queries:
        assert (pages.count, pages.count_label) == (3, "3+")
    assert "LIMIT 4" in queries[0]["sql"]
    assert pages.num_pages == 2


def test_counts_exactly_below_its_bound():
    owner = factories.entity()
    for _ in range(5):
        factories.customer(billing_entity=owner)
    pages = BoundedPaginator(Customer.objects.filter(billing_entity=owner).order_by("-id"), 2)
    assert (pages.count, pages.count_label, pages.num_pages) == (5, "5", 3)


@pytest.mark.parametrize("name", ["billing_customer", "billing_payment", "billing_ledgerentry"])
def test_offers_neither_adding_nor_deleting(name, desk: Client):
    factories.customer()
    assert desk.get(reverse(f"admin:{name}_add")).status_code == 403
    shown = desk.get(address(name)).content.decode()
    assert "delete_selected" not in shown


def test_refuses_to_delete_a_row(desk: Client):
    found = factories.customer()
    assert desk.post(reverse("admin:billing_customer_delete", args=[found.pk]), {"post": "yes"}).status_code == 403
    assert Customer.objects.filter(pk=found.pk).exists()


@pytest.mark.parametrize("query", ["user/?password__startswith=argon2", "apikey/?secret_hash__gt=a"])
def test_answers_no_filter_by_what_is_not_shown(query: str, desk: Client) -> None:
    assert desk.get(f"/admin/accounts/{query}").status_code == 400


@pytest.mark.parametrize("query", ["currency__regex=(", "created_at__year=99999", "currency__unaccent=x"])
def test_answers_no_comparison_that_fails_on_what_is_typed(query: str, desk: Client) -> None:
    for address in ("/admin/billing/customer/", "/admin/billing/customer/export/"):
        assert desk.get(f"{address}?{query}", follow=True).status_code in (200, 400)


def test_refuses_nul_in_a_filter(desk: Client) -> None:
    assert desk.get("/admin/billing/subscription/", {"status": "\x00"}).status_code == 400


def test_offers_beside_each_row_what_its_state_allows(desk: Client) -> None:
    running = factories.subscription(factories.customer())
    ended = factories.subscription(factories.customer(), status="canceled", ended_at=factories.NOW)
    page = desk.get(address("billing_subscription")).content.decode()

    def do(obj: Subscription, name: str) -> str:
        return reverse("admin:billing_subscription_command", args=[obj.pk, name])

    assert [name for name in ("pause", "resume", "cancel") if do(running, name) in page] == ["pause", "cancel"]
    assert not any(do(ended, name) in page for name in ("pause", "resume", "cancel", "reactivate"))
    assert "What will happen" in desk.post(do(running, "pause"), {"reason": "Closed for the season"}).content.decode()
    fill(1)
    assert "/do/refund/" not in desk.get(address("billing_payment")).content.decode(), "all was given back"
    kept = factories.invoice()
    payments.create(actor=SYSTEM, invoice=kept, operation_key="kept", now=factories.NOW)
    assert desk.get(address("billing_payment")).content.decode().count("/do/refund/") == 1
    open_one = factories.invoice()
    shown = desk.get(address("billing_invoice")).content.decode()
    assert shown.count("/do/void/") == 1
    assert str(open_one.pk) in shown


def test_says_what_each_list_can_be_searched_for(desk):
    """A box that takes ids alone must not look as if it took names."""
    for model, model_admin in site._registry.items():
        if isinstance(model_admin, EntityAdmin) and model_admin.search_by:
            assert model_admin.search_help_text != "A whole id", model
    assert 'placeholder="A whole id"' in desk.get("/admin/accounts/teammember/").content.decode()
