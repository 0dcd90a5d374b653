"""The index follows the event log, and can be compared with the truth and mended."""

from __future__ import annotations

import io
import json
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.services import organizations, users
from audit.models import Follower, Tree
from billing.models import Customer, Invoice, Payment
from billing.services import customers, prices, products, refunds, subscribing
from billing.services.beginnings import Line
from core import health
from core.actor import SYSTEM
from core.clock import now
from core.ids import new_id
from core.money import Money
from search import selectors
from search.documents import Document, document_types
from search.models import Corpus, IndexedDocument, Term
from search.selectors.state import FOLLOWER, state
from search.services import drift, indexing
from tests.billing import factories
from tests.support.index import index_everything


def titles(q: str, **given) -> list[str]:
    return [hit.title for hit in selectors.find(actor=SYSTEM, q=q, **given).hits]


def check() -> dict:
    out = io.StringIO()
    with suppress(SystemExit):
        call_command("search_check", "--json", stdout=out)
    return json.loads(out.getvalue())["types"]


def drifted() -> dict:
    return {
        name: {word: ids for word, ids in found.items() if word != "checked"}
        for name, found in check().items()
        if found["missing"] or found["stale"] or found["ghosts"]
    }


# --- following ---


@pytest.fixture
def hope(transactional_db, organization) -> Customer:
    made = customers.create(
        actor=SYSTEM,
        organization=organization,
        billing_entity=factories.entity(),
        name="Gracious Hope",
        email="hope@example.com",
    )
    customers.add_payment_method(actor=SYSTEM, customer=made, provider_reference="tok_success")
    made.refresh_from_db()
    return made


@pytest.mark.django_db(transaction=True)
def test_follows_the_story_of_a_customer_without_any_drift(relay, owner, organization, hope):
    product = products.create(actor=SYSTEM, name="Landline")
    price = prices.create(actor=SYSTEM, product=product, money=Money(2985, "USD"))
    assert titles("gracious") == [], "nothing is indexed in the transaction"
    relay()
    assert titles("gracious") == ["Gracious Hope"]
    subscribing.subscribe(actor=SYSTEM, customer=hope, lines=[Line(price, 1)], operation_key="sub", now=now())
    relay()
    assert "Landline for Gracious Hope" in titles("gracious landline")
    invoice = Invoice.objects.get()
    payment = Payment.objects.get()
    assert titles(str(invoice.number)) == [f"Invoice {invoice.number}"]
    assert titles(payment.public_id)[0].startswith("Payment of")
    assert drifted() == {}
    refunds.create(actor=SYSTEM, payment=payment, operation_key="refund", now=now())
    customers.update(actor=SYSTEM, customer=hope, changes={"name": "Patient Joy", "email": "joy@example.com"})
    products.update(actor=SYSTEM, product=product, changes={"name": "Telephone"})
    organizations.update(actor=SYSTEM, organization=organization, name="Renamed Ltd")
    relay()
    assert titles("gracious") == titles("landline") == []
    assert len(titles("patient joy")) == 4
    assert titles("renamed") == ["Renamed Ltd"]
    assert drifted() == {}


@pytest.mark.django_db(transaction=True)
def test_may_read_the_same_events_again(relay, hope):
    relay()
    before = list(IndexedDocument.objects.order_by("key").values_list("key", "stamp", "title"))
    assert before
    Follower.objects.filter(pk=FOLLOWER).update(position=0)
    relay()
    assert list(IndexedDocument.objects.order_by("key").values_list("key", "stamp", "title")) == before


@pytest.mark.django_db(transaction=True)
def test_says_how_far_it_is_behind(relay, hope):
    relay()
    assert state().behind == 0
    Follower.objects.filter(pk=FOLLOWER).update(position=0)
    assert state().behind == Tree.objects.get().size > 0


@pytest.mark.django_db
def test_builds_with_the_same_queries_for_5_and_for_50():
    entity, counts = factories.entity(), []
    product = factories.price().product
    for number in (5, 45):
        for _ in range(number):
            customer = factories.customer(billing_entity=entity)
            factories.invoice(customer, running=factories.subscription(customer, product.prices.first()))
        spent = {}
        for kind in indexing.kinds():
            ids = list(kind.ids())
            with CaptureQueriesContext(connection) as asked:
                assert len(list(kind.build(ids))) == len(ids)
            spent[kind.name] = len(asked)
        counts.append(spent)
    assert counts[0] == counts[1]
    assert max(counts[0].values()) <= 2


# --- rejecting ---


@pytest.mark.django_db
def test_rejects_an_empty_document_and_stores_the_others(monkeypatch, capsys):
    kind = document_types["customer"]
    good, empty = Document(new_id(), "Good", None, 1), Document(new_id(), "  ", None, 1)
    odd = replace(good, id=new_id(), facets={"number": 5})
    changed = replace(kind, build=lambda ids: [empty, good, odd])
    outcome = indexing.index(changed, [good.id, empty.id, odd.id])
    assert (outcome.changed, outcome.rejected) == (1, 2)
    assert titles("good") == ["Good"]


@pytest.mark.django_db
def test_removes_what_has_become_empty():
    kind, document = document_types["customer"], Document(new_id(), "Good", None, 1)
    indexing.index(replace(kind, build=lambda ids: [document]), [document.id])
    indexing.index(replace(kind, build=lambda ids: [replace(document, title="")]), [document.id])
    assert titles("good") == []


# --- drift ---


@pytest.fixture
def drifting(db):
    """One document missing, one stale, one ghost; two that are true."""
    entity = factories.entity()
    rows = [factories.customer(name=f"Hope {number}", billing_entity=entity, token=None) for number in range(4)]
    index_everything()
    IndexedDocument.objects.filter(object_id=rows[0].pk).delete()
    Customer.objects.filter(pk=rows[1].pk).update(name="Renamed by hand")
    ghost = Document(new_id(), "Ghost", None, 1)
    indexing.index(replace(document_types["customer"], build=lambda ids: [ghost]), [ghost.id])
    public = document_types["customer"].public_id
    return {"missing": [rows[0].public_id], "stale": [rows[1].public_id], "ghosts": [public(ghost.id)]}


def test_check_names_what_is_missing_stale_and_a_ghost(drifting):
    assert drifted() == {"customer": drifting}


def test_check_repairs(drifting):
    call_command("search_check", "--repair", stdout=io.StringIO(), stderr=io.StringIO())
    assert drifted() == {}


def test_reindex_mends_and_can_be_rehearsed(drifting):
    out = io.StringIO()
    call_command("search_reindex", "--dry-run", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["is_dry_run"]
    assert told["types"]["customer"] == {"changed": 2, "removed": 1, "unchanged": 2, "rejected": 0}
    assert drifted() == {"customer": drifting}
    out = io.StringIO()
    call_command("search_reindex", "--type", "customer", "--json", stdout=out)
    assert json.loads(out.getvalue())["types"] == {
        "customer": {"changed": 2, "removed": 1, "unchanged": 2, "rejected": 0}
    }
    assert drifted() == {}


@pytest.mark.django_db
def test_reindex_goes_on_behind_an_id():
    entity = factories.entity()
    rows = [factories.customer(name=f"Hope {number}", billing_entity=entity, token=None) for number in range(4)]
    out = io.StringIO()
    call_command("search_reindex", "--type", "customer", "--after", rows[1].public_id, "--json", stdout=out)
    assert json.loads(out.getvalue())["types"]["customer"]["changed"] == 2
    for wrong in ("nonsense", new_id().hex, rows[0].billing_entity.public_id):
        with pytest.raises(CommandError):
            call_command("search_reindex", "--type", "customer", "--after", wrong)
    with pytest.raises(CommandError):
        call_command("search_reindex", "--type", "unicorn")


@pytest.mark.django_db
def test_removes_who_is_gone(owner: User):
    kind = document_types["user"]
    index_everything()
    assert titles(owner.email) == ["Olga Owner"]
    User.objects.filter(pk=owner.pk).update(name="", email="erased@x.invalid")
    indexing.index(kind, [owner.pk])
    assert titles("olga") == []
    assert not IndexedDocument.objects.filter(title__icontains="olga", type="user").exists()


@pytest.mark.django_db
def test_health_tells_how_the_index_is():
    factories.customer(name="Gracious Hope")
    index_everything()
    found = health.probes["search"].ask()
    assert found.status == health.Status.OK
    assert found.inner["by_type"]["customer"] == 1
    Follower.objects.update_or_create(pk=FOLLOWER, defaults={"state": "parked", "position": 0})
    assert health.probes["search"].ask().status == health.Status.WARNING


def test_looks_at_what_it_found_a_second_time(drifting, monkeypatch):
    """What the follower does between two looks is no drift."""
    kind = document_types["customer"]
    looked = drift._compare

    def compare(kind, ids, found):
        looked(kind, ids, found)
        indexing.index(kind, ids)

    monkeypatch.setattr(drift, "_compare", compare)
    found = drift.of(kind)
    assert found.missing == found.stale == []


@pytest.mark.django_db
def test_deactivating_shows_in_the_index(owner, staff, actor_of):
    index_everything()
    users.deactivate(actor=actor_of(staff), user=owner, reason="left", now=now())
    index_everything()
    hit = selectors.find(actor=SYSTEM, q=owner.email).hits[0]
    assert hit.facets == {"status": "inactive"}


@pytest.mark.django_db(transaction=True)
def test_several_may_build_at_once_and_the_newest_wins():
    """The follower and a reindex meet; statistics stay exact, and nothing older is left."""
    entity = factories.entity()
    rows = [factories.customer(name=f"Hope {number}", billing_entity=entity, token=None) for number in range(30)]
    kind, ids, faults = document_types["customer"], [row.pk for row in rows], []

    def work(number: int) -> None:
        try:
            for round_ in range(8):
                if number == 0:
                    Customer.objects.filter(pk__in=ids[round_::8]).update(name=f"Joy {round_}")
                indexing.index(kind, ids)
        except Exception as fault:
            faults.append(fault)
        finally:
            connections.close_all()

    threads = [Thread(target=work, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert drifted() == {}
    assert titles("hope") == []
    having = Counter(text for row in IndexedDocument.objects.all() for text in row.terms)
    assert dict(Term.objects.values_list("id", "documents")) == dict(having)
    assert Corpus.objects.get().documents == 30


BREAKAGES = {
    "DELETE FROM search_document WHERE title = 'Hope 1'": "entries of no document",
    "DELETE FROM search_posting WHERE document = (SELECT min(key) FROM search_document)": "without all",
    "UPDATE search_term SET documents = documents + 5": "words counted wrongly",
    "INSERT INTO search_term (text, documents) VALUES ('unused', 3)": "words counted wrongly",
    "UPDATE search_corpus SET total_length = 7": "totals counted wrongly",
}


@pytest.mark.django_db
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_check_sees_and_mends_what_was_broken_by_hand(breakage):
    entity = factories.entity()
    for number in range(3):
        factories.customer(name=f"Hope {number}", billing_entity=entity, token=None)
    index_everything()
    assert drift.faults_inside() == []
    with connection.cursor() as cursor:
        cursor.execute(breakage)
    assert BREAKAGES[breakage] in " ".join(drift.faults_inside())
    with pytest.raises(SystemExit):
        call_command("search_check", stdout=io.StringIO(), stderr=io.StringIO())
    call_command("search_check", "--repair", stdout=io.StringIO(), stderr=io.StringIO())
    call_command("search_check", stdout=io.StringIO(), stderr=io.StringIO())
    assert drift.faults_inside() == []
    assert titles("hope 1") == ["Hope 1"]
