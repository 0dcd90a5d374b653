"""Tuples over HTTP: what is written and deleted is told item by item, and what cannot be is told with its place."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.permissions.engine import Engine
from accounts.permissions.models import RelationChange, RelationTuple
from accounts.permissions.tuples import Tuple
from audit.models import Event
from core.ids import new_id
from tests.accounts.permissions.over_http import PERMISSIONS, engine, in_hours, key, pointers, results

pytestmark = pytest.mark.django_db
TUPLES = f"{PERMISSIONS}/tuples"
ANN, BOB = key("user:ann"), key("user:bob")


@pytest.fixture
def product(db: None) -> Engine:
    return engine()


@pytest.fixture
def client(api: Any, staff: Any, product: Engine) -> Any:
    return api(staff)


def write(client: Any, *tuples: Any, **rest: Any) -> Any:
    return client.post(TUPLES, {"writes": list(tuples), **rest})


# what becomes of each


def test_says_what_became_of_each_in_the_order_of_the_request(client: Any) -> None:
    assert results(write(client, BOB)) == ["created"]
    reply = write(client, ANN, BOB, ANN)
    assert results(reply) == ["created", "unchanged", "unchanged"]
    assert reply.json()["writes"][1] == {**BOB, "result": "unchanged"}
    reply = client.post(TUPLES, {"deletes": [key("user:cay"), ANN, ANN], "writes": [key("user:dan")]})
    assert results(reply, "deletes") == ["missing", "removed", "missing"]
    assert results(reply) == ["created"]
    assert sorted(RelationTuple.objects.values_list("subject_id", flat=True)) == ["bob", "dan"]


def test_records_one_event_with_counts_and_the_entries_of_the_change_log(client: Any) -> None:
    write(client, ANN, BOB)
    write(client, ANN, BOB)
    client.post(TUPLES, {"deletes": [ANN], "writes": [key("user:cay")]})
    first, second = Event.objects.filter(type="accounts.relation.changed").order_by("id")
    changes = list(RelationChange.objects.order_by("id").values_list("pk", flat=True))
    assert first.data["counts"] == {"created": 2}
    assert (first.data["first_change"], first.data["last_change"]) == (changes[0], changes[1])
    assert second.data["counts"] == {"created": 1, "removed": 1}
    assert (second.data["first_change"], second.data["last_change"]) == (changes[2], changes[3])
    assert second.data["model"].startswith("mdl_")


def test_writes_once_for_one_idempotency_key(client: Any) -> None:
    headers = {"Idempotency-Key": new_id().hex}
    replies = [client.post(TUPLES, {"writes": [ANN]}, headers=headers) for _ in range(2)]
    assert replies[0].content == replies[1].content
    assert (replies[1]["Idempotent-Replayed"], results(replies[1])) == ("true", ["created"])


def test_replaces_a_condition_only_when_asked_to(client: Any) -> None:
    write(client, ANN)
    at_noon = key("user:ann", condition=in_hours(hour=12))
    refused = write(client, at_noon)
    assert (refused.status_code, refused.json()["openfga_code"]) == (409, 2017)
    assert results(write(client, at_noon, on_duplicate="replace")) == ["replaced"]
    assert RelationTuple.objects.get().context == {"hour": 12}


def test_fills_in_the_type_of_a_subject_when_exactly_one_fits(client: Any) -> None:
    reply = write(client, key("web", "project", "document:1"), key("ann", "editor"))
    assert [item["user"] for item in reply.json()["writes"]] == ["project:web", "user:ann"]
    several = write(client, key("ann"))
    assert (several.status_code, pointers(several)) == (400, ["/writes/0/user"])
    assert "group#member" in several.json()["allowed_types"]


# refusals


def test_refuses_what_is_there_or_not_there_when_asked_to_and_says_which(client: Any) -> None:
    write(client, ANN)
    twice = write(client, BOB, ANN, on_duplicate="error")
    assert (twice.status_code, twice.json()["code"]) == (409, "write_failed_due_to_invalid_input")
    assert (twice.json()["openfga_code"], pointers(twice)) == (2017, ["/writes/1"])
    missing = client.post(TUPLES, {"deletes": [ANN, BOB], "on_missing": "error"})
    assert (missing.status_code, pointers(missing)) == (409, ["/deletes/1"])
    assert RelationTuple.objects.get().subject_id == "ann"


def test_refuses_the_same_twice_in_one_request_when_asked_to(client: Any) -> None:
    twice = write(client, ANN, BOB, ANN, on_duplicate="error")
    assert (twice.status_code, twice.json()["openfga_code"], pointers(twice)) == (400, 2004, ["/writes/2"])
    both = client.post(TUPLES, {"writes": [ANN], "deletes": [BOB, ANN]})
    assert (both.json()["code"], pointers(both)) == ("cannot_allow_duplicate_tuples_in_one_request", ["/writes/0"])
    assert not RelationTuple.objects.exists()


def test_names_the_types_that_are_allowed_in_place_of_one_that_is_not(client: Any) -> None:
    reply = write(client, ANN, key("user:ann", "organization", "project:web"))
    problem = reply.json()
    assert (reply.status_code, problem["code"], problem["openfga_code"]) == (400, "validation_error", 2000)
    assert "type 'user' is not an allowed type restriction for 'project#organization'" in problem["detail"]
    assert problem["allowed_types"] == ["group"]
    assert pointers(reply) == ["/writes/1/user"]
    assert not RelationTuple.objects.exists()
    other = write(client, key("project:web"))
    assert "type 'project' is not an allowed type restriction for 'document#viewer'" in other.json()["detail"]


def test_points_at_every_tuple_that_is_wrong(client: Any) -> None:
    wrong = [ANN, key("user:ann", "owner"), BOB, key("user:ann", object="page:1"), key("user:a b")]
    reply = write(client, *wrong, key("user:ann", condition={"name": "in_ours"}))
    assert pointers(reply) == ["/writes/1/relation", "/writes/3/object", "/writes/4/user", "/writes/5/condition"]
    assert reply.json()["allowed_types"] == ["project", "editor", "viewer"]


@pytest.mark.parametrize("nothing", ["undefined:1", "null:1", ":1", "", "[object Object]", "[object Object]:1", None])
@pytest.mark.parametrize("member", ["user", "object"])
def test_refuses_what_a_program_writes_for_nothing_and_names_the_types(client: Any, member: str, nothing: Any) -> None:
    reply = write(client, ANN, {**BOB, member: nothing})
    assert (reply.status_code, pointers(reply)) == (400, [f"/writes/1/{member}"])
    assert {"user", "api_key", "group", "project", "document"} <= set(reply.json()["allowed_types"])
    assert not RelationTuple.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {}, {"writes": []}, {"writes": None}, {"writes": {}}, {"writes": "user:ann"}, {"writes": 3},
        {"writes": [None]}, {"writes": ["x"]}, {"writes": [[]]}, {"writes": [{}]}, {"deletes": 3}, [], None, "x",
        {"writes": [{**ANN, "user": 3}]}, {"writes": [{**ANN, "relation": None}]}, {"writes": [{**ANN, "more": 1}]},
        {"writes": [{**ANN, "condition": 3}]}, {"writes": [{**ANN, "condition": {"name": 3}}]},
        {"writes": [{**ANN, "condition": {"name": "in_hours", "context": 3}}]},
        {"writes": [{**ANN, "condition": {"name": "in_hours", "context": {"hour": "noon"}}}]},
        {"writes": [{**ANN, "condition": {"name": "in_hours", "context": {"minute": 3}}}]},
        {"writes": [ANN], "on_duplicate": "overwrite"}, {"tuples": [ANN]},
    ],
)  # fmt: skip
def test_refuses_a_body_without_its_list_or_with_one_of_other_shape(client: Any, body: Any) -> None:
    reply = client.post(TUPLES, body)
    assert reply.status_code == 400, reply.content
    assert reply.json()["code"] in ("invalid_input", "invalid_write_input", "validation_error")
    assert reply.json()["errors"]
    assert not RelationTuple.objects.exists()


def test_calls_an_empty_request_by_its_openfga_code(client: Any) -> None:
    reply = client.post(TUPLES, {"writes": [], "deletes": []})
    assert (reply.json()["code"], reply.json()["openfga_code"]) == ("invalid_write_input", 2003)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"writes": [{"user": "user:a\\u0000", "relation": "viewer", "object": "document:1"}]}', "/writes/0/user"),
        ('{"writes": [{"user": "user:\\ud800", "relation": "viewer", "object": "document:1"}]}', "/writes/0/user"),
        ('{"writes": [{"user": "user:%s", "relation": "viewer", "object": "document:1"}]}' % ("a" * 257), None),
        ('{"writes": [{"user": "user:%s", "relation": "viewer", "object": "document:1"}]}' % ("a" * 99999), None),
        ('{"writes": [{"user": "user:a", "relation": "%s", "object": "document:1"}]}' % ("a" * 99999), None),
    ],
)
def test_refuses_text_that_cannot_be_kept(client: Any, body: str, pointer: str | None) -> None:
    reply = client.post(TUPLES, body, content_type="application/json")
    assert reply.status_code == 400, reply.content
    assert len(reply.content) < 3000
    assert pointer in (None, *pointers(reply))


@pytest.mark.parametrize(
    "value",
    [
        "9007199254740993", "-9007199254740993", "1e999", "9" * 400, "NaN", "[" * 30 + "]" * 30, "[" * 900 + "]" * 900,
        "[" * 900 + '"\\u0000"' + "]" * 900, "[" * 100_000 + "]" * 100_000, '"\\u0000"', '{"\\udfff": 1}',
    ],
    ids=range(11),
)  # fmt: skip
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
def test_refuses_a_context_that_not_every_program_reads_alike(client: Any, value: str, headers: dict[str, str]) -> None:
    condition = f'{{"name": "in_hours", "context": {{"hour": {value}}}}}'
    one = f'{{"user": "user:ann", "relation": "viewer", "object": "document:1", "condition": {condition}}}'
    for body in (f'{{"writes": [{one}]}}', f'{{"writes": [{one.replace("in_hours", "x")}]}}'):
        reply = client.post(TUPLES, body, content_type="application/json", headers=headers)
        assert reply.status_code == 400, reply.content


def test_keeps_the_longest_names_there_can_be(client: Any) -> None:
    longest = "\N{PILE OF POO}" * 256
    assert results(write(client, key(f"user:{longest}", object=f"document:{longest}"))) == ["created"]
    assert client.get(f"{TUPLES}?user=user:{longest}").json()["data"][0]["object"] == f"document:{longest}"


def test_is_for_staff(api: Any, owner: Any, organization: Any, product: Engine) -> None:
    client = api(owner)
    replies = [client.get(TUPLES), write(client, ANN), write(client, key("undefined:1"))]
    assert [reply.status_code for reply in replies] == [403, 403, 403]
    assert [reply.json()["permission"].rpartition(".")[2] for reply in replies] == ["view", "write", "write"]
    assert api().get(TUPLES).status_code == 401


def test_answers_once_and_writes_nothing_when_something_breaks(
    client: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr("accounts.services.relations.record", _broken)
    reply = write(client, ANN)
    assert (reply.status_code, reply.json()["code"]) == (500, "internal_error")
    assert not RelationTuple.objects.exists()
    assert not Event.objects.filter(type__startswith="accounts.relation").exists()


def _broken(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("broken")


# reading


def test_finds_tuples_by_each_filter_and_all_of_them(client: Any) -> None:
    write(client, ANN, key("user:bob", condition=in_hours(hour=9)), key("ann", "editor", "document:2"))
    write(client, key("group:eng#member", object="document:2"), key("user:ann", "member", "group:eng"))

    def found(**filters: str) -> list[str]:
        reply = client.get(TUPLES, filters)
        assert reply.status_code == 200, reply.content
        return [f"{one['user']} {one['relation']} {one['object']}" for one in reply.json()["data"]]

    assert len(found()) == 5
    assert found(object="document:1") == ["user:ann viewer document:1", "user:bob viewer document:1"]
    assert found(object_type="group") == ["user:ann member group:eng"]
    assert found(relation="editor") == ["user:ann editor document:2"]
    by_subject = ["user:ann editor document:2", "user:ann viewer document:1", "user:ann member group:eng"]
    assert found(user="user:ann") == by_subject
    assert found(user="group:eng#member") == ["group:eng#member viewer document:2"]
    assert found(condition="in_hours") == ["user:bob viewer document:1"]
    assert found(user="user:ann", object="document:2", relation="editor") == ["user:ann editor document:2"]
    assert found(user="user:nobody") == []
    shown = client.get(TUPLES, {"condition": "in_hours"}).json()["data"][0]["condition"]
    assert shown == in_hours(hour=9)


@pytest.mark.parametrize("filters", [{}, {"user": "user:ann"}, {"object_type": "document"}, {"relation": "viewer"}])
def test_goes_through_all_pages_once(client: Any, product: Engine, filters: dict[str, str]) -> None:
    product.write([Tuple.parse(key("user:ann", object=f"document:{number}")) for number in range(7)])
    seen, link = [], f"{TUPLES}?limit=3&" + "&".join(f"{name}={value}" for name, value in filters.items())
    pages = 0
    while link:
        page = client.get(link.rstrip("&")).json()
        seen += [one["object"] for one in page["data"]]
        link, pages = page["next"], pages + 1
    assert (pages, seen) == (3, [f"document:{number}" for number in range(7)])


def test_takes_a_cursor_for_its_own_list_only(client: Any, product: Engine) -> None:
    product.write([Tuple.parse(key("user:ann", object=f"document:{number}")) for number in range(3)])
    link = client.get(f"{TUPLES}?limit=1").json()["next"]
    for wrong in (
        link.replace("cursor=", "user=user:ann&cursor="),
        link[:-3],
        f"{TUPLES}?cursor=%00",
        f"{TUPLES}?cursor=x",
    ):
        assert client.get(wrong).status_code == 400, wrong
    problem = client.get(f"{TUPLES}?cursor=x").json()
    assert (problem["code"], problem["openfga_code"]) == ("invalid_continuation_token", 2007)
    assert problem["errors"][0]["pointer"] == "?cursor"


@pytest.mark.parametrize(
    "query",
    [
        "object=x", "user=x", "object=document:1&object_type=group", "limit=0", "limit=101", "limit=x", "type=document",
        "user=user:%00", "user=" + "a" * 700, "relation=",
    ],
)  # fmt: skip
def test_refuses_a_filter_that_means_nothing(client: Any, query: str) -> None:
    reply = client.get(f"{TUPLES}?{query}")
    assert reply.status_code == 400
    assert all(pointer.startswith("?") for pointer in pointers(reply)), reply.content


def test_reads_a_page_of_any_size_with_as_many_queries(client: Any, product: Engine) -> None:
    def cost(limit: int) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(client.get(f"{TUPLES}?limit={limit}").json()["data"]) == limit
        return len(queries)

    product.write([Tuple.parse(key("user:ann", object=f"document:{number}")) for number in range(60)])
    cost(1)
    assert cost(5) == cost(50)


def test_names_what_is_ours_by_its_public_id(client: Any, owner: Any) -> None:
    write(client, key(f"user:{owner.public_id}"))
    assert RelationTuple.objects.get().subject_id == str(owner.pk)
    assert client.get(TUPLES).json()["data"][0]["user"] == f"user:{owner.public_id}"
    assert results(write(client, key(f"user:{owner.pk}"))) == ["unchanged"]


def test_deletes_no_tuple_that_a_row_says(client: Any, owner: Any, organization: Any) -> None:
    said = key(f"user:{owner.public_id}", "owner", f"organization:{organization.public_id}")
    by_hand = {**said, "relation": "viewer"}
    assert results(write(client, by_hand)) == ["created"]
    reply = client.post(TUPLES, {"deletes": [by_hand, said]})
    assert (reply.status_code, pointers(reply), reply.json()["openfga_code"]) == (409, ["/deletes/1"], 2017)
    assert client.get(TUPLES, {"object": said["object"]}).json()["data"][0]["relation"] == "owner"
    assert results(client.post(TUPLES, {"deletes": [by_hand]}), "deletes") == ["removed"]


def test_takes_a_public_id_without_its_type_for_what_it_names(client: Any, owner: Any) -> None:
    assert results(write(client, key(owner.public_id, "editor"))) == ["created"]
    assert RelationTuple.objects.get().subject_id == str(owner.pk)
    assert results(write(client, key(f"user:{owner.public_id}", "editor"))) == ["unchanged"]


def test_refuses_a_public_id_that_can_name_nothing(client: Any, owner: Any, organization: Any) -> None:
    for wrong in (owner.public_id[:-1], "usr_x", organization.public_id):
        reply = write(client, ANN, key(f"user:{wrong}"))
        assert (reply.status_code, pointers(reply), reply.json()["openfga_code"]) == (400, ["/writes/1/user"], 2000)
        assert "'usr_…'" in reply.json()["detail"]
    assert not RelationTuple.objects.filter(object_type="document").exists()
    assert results(write(client, key("user:us_r"))) == ["created"]
    assert client.post(TUPLES, {"deletes": [key("user:usr_x")]}).status_code == 200


def test_writes_ten_thousand_tuples_in_one_request_in_the_queries_of_ten(client: Any) -> None:
    def cost(number: int) -> int:
        many = [key(f"user:{each}", object=f"document:{number}") for each in range(number)]
        with CaptureQueriesContext(connection) as queries:
            reply = write(client, *many)
        assert set(results(reply)) == {"created"}
        return len(queries)

    cost(1)
    assert cost(10) == cost(10_000)
