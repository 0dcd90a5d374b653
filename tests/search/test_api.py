"""`GET /api/v1/search`."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.actors import actor_of_user
from accounts.services import api_keys, shares
from core.actor import SYSTEM
from core.clock import now
from search.documents import document_types
from tests.billing import factories
from tests.support.index import index_everything

pytestmark = pytest.mark.django_db
URL = "/api/v1/search"


@pytest.fixture
def acme(organization):
    """Two customers of ours, one next door to us, one of nobody."""
    entity = factories.entity()
    hope = factories.customer(
        name="Gracious Hope", email="hope@example.com", organization=organization, billing_entity=entity
    )
    factories.customer(name="Hope Springs", organization=organization, billing_entity=entity)
    factories.subscription(hope)
    index_everything()
    return hope


def test_finds_with_highlights_facets_and_a_total(ask, owner, acme):
    body = ask(owner, "gracious ho")
    assert (body["total"], body["next"], body["previous"], body["is_relaxed"]) == (2, None, None, False)
    assert body["facets"]["type"] == [{"value": "customer", "count": 1}, {"value": "subscription", "count": 1}]
    assert body["facets"]["status"] == [{"value": "active", "count": 1}]
    first = body["data"][0]
    assert (first["type"], first["id"], first["title"]) == ("customer", acme.public_id, "Gracious Hope")
    assert first["url"] == f"/api/v1/customers/{acme.public_id}"
    assert first["highlights"][0] == {
        "field": "title",
        "text": "Gracious Hope",
        "marks": [{"start": 0, "end": 8}, {"start": 9, "end": 13}],
    }


def test_shows_the_address_by_which_it_can_be_read(api, owner, acme):
    client = api(owner)
    for hit in client.get(URL, {"q": "hope"}).json()["data"]:
        assert client.get(hit["url"]).json()["id"] == hit["id"]


def test_finds_what_is_shared_until_it_is_taken_back(ask, owner, stranger, acme):
    (subscription,) = acme.subscriptions.all()
    one, _ = shares.create(actor=actor_of_user(owner), row=subscription, recipient=stranger)
    body = ask(stranger, "gracious")
    assert [hit["id"] for hit in body["data"]] == [subscription.public_id]
    assert body["facets"]["type"] == [{"value": "subscription", "count": 1}]
    shares.revoke(actor=actor_of_user(owner), share=one)
    assert ask(stranger, "gracious")["total"] == 0


def test_narrows_by_kind_and_still_counts_the_others(ask, owner, acme):
    body = ask(owner, "gracious", type="subscription")
    assert {hit["type"] for hit in body["data"]} == {"subscription"}
    assert body["total"] == 1
    assert {each["value"] for each in body["facets"]["type"]} == {"customer", "subscription"}
    assert ask(owner, "gracious", type=["subscription", "customer"])["total"] == 2


def test_tolerates_misspellings_and_says_so(ask, owner, acme):
    body = ask(owner, "gracoius")
    assert body["is_relaxed"]
    assert body["data"][0]["id"] == acme.public_id


def test_finds_nothing_next_door(ask, stranger, staff, acme):
    assert ask(stranger, "gracious") == {
        "data": [], "next": None, "previous": None, "total": 0, "facets": {"type": []}, "is_relaxed": False,
    }  # fmt: skip
    assert ask(stranger, acme.public_id)["total"] == 0
    assert ask(staff, "gracious")["total"] == 2


def test_answers_a_key_within_its_scopes(api, owner, organization, acme):
    _, secret = api_keys.create(
        actor=SYSTEM, organization=organization, name="robot", scopes=("billing.customer.view",), now=now()
    )
    body = api().carry(secret).get(URL, {"q": "gracious"}).json()
    assert [hit["type"] for hit in body["data"]] == ["customer"]
    assert body["facets"]["type"] == [{"value": "customer", "count": 1}]


def test_finds_what_is_on_offer_for_everybody_signed_in(ask, stranger, staff):
    product = factories.price().product
    product.name = "Zebra service"
    product.save()
    index_everything()
    assert ask(stranger, "zebra")["total"] == 1
    product.is_active = False
    product.save()
    index_everything()
    assert ask(stranger, "zebra")["total"] == 0
    assert ask(staff, "zebra")["total"] == 1


def test_keeps_people_for_staff(ask, owner, staff, team_mate):
    index_everything()
    assert ask(owner, team_mate.email)["total"] == 0
    assert ask(staff, team_mate.email)["data"][0]["id"] == team_mate.public_id


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ({}, "?q", "required"),
        ({"q": ""}, "?q", "blank"),
        ({"q": "   "}, "?q", "blank"),
        ({"q": "x" * 201}, "?q", "max_length"),
        ({"q": "a\x00b"}, "?q", "unstorable_character"),
        ({"q": "hope", "type": "secret"}, "?type", "invalid_choice"),
        ({"q": "hope", "limit": "0"}, "?limit", "min_value"),
        ({"q": "hope", "limit": "101"}, "?limit", "max_value"),
        ({"q": "hope", "limit": "ten"}, "?limit", "invalid"),
        ({"q": "hope", "cursor": "made-up"}, "?cursor", "invalid_cursor"),
        ({"q": "hope", "page": "2"}, "?page", "unknown_parameter"),
    ],
)
def test_refuses_what_it_cannot_read(api, owner, query, pointer, code):
    reply = api(owner).get(URL, query)
    assert reply.status_code == 400
    assert {"pointer": pointer, "code": code} in [
        {"pointer": fault["pointer"], "code": fault["code"]} for fault in reply.json()["errors"]
    ], reply.json()


@pytest.mark.parametrize("q", ["%", "'", "\\", "!&|:*()", "💥", "a", "x" * 200, "' OR 1=1 --", "{}", "%s %(a)s"])
def test_answers_any_text(ask, owner, acme, q):
    assert ask(owner, q)["total"] >= 0


def test_answers_nobody_without_signing_in(api):
    reply = api().get(URL, {"q": "hope"})
    assert reply.status_code == 401
    assert reply["WWW-Authenticate"].startswith("Bearer")


def test_pages_by_signed_cursors(api, owner, organization):
    entity = factories.entity()
    for number in range(7):
        factories.customer(name=f"Hope {number}", organization=organization, billing_entity=entity, token=None)
    index_everything()
    client, address, seen = api(owner), f"{URL}?q=hope&limit=3&type=customer", []
    while address:
        body = client.get(address).json()
        seen.append([hit["id"] for hit in body["data"]])
        address = body["next"]
    assert [len(page) for page in seen] == [3, 3, 1]
    assert len({each for page in seen for each in page}) == 7
    assert [hit["id"] for hit in client.get(body["previous"]).json()["data"]] == seen[1]
    cursor = client.get(f"{URL}?q=hope&limit=3").json()["next"].split("cursor=")[1]
    assert client.get(f"{URL}?q=other&limit=3&cursor={cursor}").status_code == 400


def test_pages_through_what_is_misspelt(api, owner, organization):
    entity = factories.entity()
    for number in range(5):
        factories.customer(name=f"Gracious {number}", organization=organization, billing_entity=entity, token=None)
    index_everything()
    client, address, seen = api(owner), f"{URL}?q=gracoius&limit=2", []
    while address:
        body = client.get(address).json()
        assert body["is_relaxed"]
        seen += [hit["id"] for hit in body["data"]]
        address = body["next"]
    assert len(seen) == len(set(seen)) == 5


def test_takes_the_same_queries_for_5_and_for_50(api, owner, organization):
    entity, client, counts = factories.entity(), api(owner), []
    for number in (5, 45):
        for each in range(number):
            factories.customer(name=f"Hope {each}", organization=organization, billing_entity=entity, token=None)
        index_everything()
        client.get(URL, {"q": "hope", "limit": 100})
        with CaptureQueriesContext(connection) as asked:
            body = client.get(URL, {"q": "hope", "limit": 100}).json()
        counts.append(len([each for each in asked.captured_queries if "SAVEPOINT" not in each["sql"]]))
    assert body["total"] == 50
    assert counts[0] == counts[1] <= 4, counts


def test_counts_against_the_limit_of_who_asks(api, owner, acme):
    assert "RateLimit" in api(owner).get(URL, {"q": "hope"}).headers


def test_never_returns_markup(ask, staff):
    factories.customer(name='<script>alert("Hope")</script> & Co')
    index_everything()
    highlight = ask(staff, "hope")["data"][0]["highlights"][0]
    mark = highlight["marks"][0]
    assert highlight["text"] == '<script>alert("Hope")</script> & Co'
    assert highlight["text"][mark["start"] : mark["end"]] == "Hope"


def test_offers_every_kind_in_the_schema(api):
    schema = api().get("/api/v1/schema", headers={"Accept": "application/json"})
    assert schema.status_code == 200
    for name in document_types:
        assert name in schema.content.decode()
