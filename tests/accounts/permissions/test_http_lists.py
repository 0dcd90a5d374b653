"""Lists over HTTP: complete, a page at a time; of oneself for everybody, of others for staff."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.permissions.engine import Engine
from accounts.permissions.tuples import Tuple
from tests.accounts.permissions.over_http import PERMISSIONS, engine, in_hours, key, pointers

pytestmark = pytest.mark.django_db
OBJECTS, USERS, CHANGES = (f"{PERMISSIONS}/{name}" for name in ("list-objects", "list-users", "changes"))
EXPAND, EXPLAIN = f"{PERMISSIONS}/expand", f"{PERMISSIONS}/explain"
FOR_STAFF = [USERS, EXPAND, EXPLAIN]


@pytest.fixture
def product(db: None) -> Engine:
    return engine()


@pytest.fixture
def client(api: Any, staff: Any, product: Engine) -> Any:
    return api(staff)


def store(product: Engine, *keys: dict[str, Any]) -> None:
    product.write(list(map(Tuple.parse, keys)))


def pages(client: Any, path: str, asked: dict[str, Any], member: str) -> list[list[str]]:
    found, cursor = [], {}
    while True:
        reply = client.post(path, {**asked, **cursor})
        assert reply.status_code == 200, reply.content
        body = reply.json()
        assert body["complete"] == (body["next"] is None)
        found.append(body[member])
        if body["complete"]:
            return found
        cursor = {"cursor": body["next"]}


# objects


def test_lists_every_object_once_over_pages(client: Any, product: Engine) -> None:
    store(product, *(key("user:ann", object=f"document:{number:02}") for number in range(25)))
    asked = {"user": "user:ann", "relation": "viewer", "type": "document"}
    found = pages(client, OBJECTS, {**asked, "limit": 10}, "objects")
    assert list(map(len, found)) == [10, 10, 5]
    assert [item for page in found for item in page] == [f"document:{number:02}" for number in range(25)]
    assert pages(client, OBJECTS, asked, "objects") == [[item for page in found for item in page]]
    assert pages(client, OBJECTS, {**asked, "user": "user:bob"}, "objects") == [[]]


def test_lists_objects_of_tuples_and_parameters_brought_along(client: Any, product: Engine) -> None:
    brought = [key("user:ann", object="document:9"), key("user:ann", condition={"name": "in_hours"})]
    asked = {"user": "user:ann", "relation": "viewer", "type": "document", "contextual_tuples": brought}
    assert pages(client, OBJECTS, {**asked, "context": {"hour": 3}}, "objects") == [["document:1", "document:9"]]
    assert pages(client, OBJECTS, {**asked, "context": {"hour": 20}}, "objects") == [["document:9"]]


def test_lists_ones_own_objects_for_everybody(api: Any, owner: Any, organization: Any, product: Engine) -> None:
    store(product, key(f"user:{owner.pk}", object="document:7"), key("user:ann", object="document:8"))
    client = api(owner)
    asked = {"relation": "viewer", "type": "document"}
    assert client.post(OBJECTS, asked).json() == {"objects": ["document:7"], "next": None, "complete": True}
    assert client.post(OBJECTS, {**asked, "user": "user:ann"}).status_code == 403
    assert client.post(OBJECTS, {**asked, "contextual_tuples": []}).status_code == 403


def test_takes_a_cursor_with_the_same_question_only(client: Any, product: Engine) -> None:
    store(product, *(key("user:ann", object=f"document:{number}") for number in range(5)))
    asked = {"user": "user:ann", "relation": "viewer", "type": "document", "limit": 2}
    cursor = client.post(OBJECTS, asked).json()["next"]
    for other in ({"user": "user:bob"}, {"relation": "editor"}, {"context": {"hour": 3}}, {"cursor": "x"}):
        reply = client.post(OBJECTS, {**asked, "cursor": cursor, **other})
        assert (reply.status_code, pointers(reply), reply.json()["openfga_code"]) == (400, ["/cursor"], 2007)
    assert client.post(OBJECTS, {**asked, "cursor": cursor, "limit": 3}).json()["complete"]


@pytest.mark.parametrize(
    ("wrong", "pointer", "code"),
    [
        ({"type": "page"}, "/type", 2021), ({"type": ""}, "/type", 2021), ({"type": "undefined"}, "/type", 2021),
        ({"relation": "owner"}, "/relation", 2022), ({"user": "undefined:1"}, "/user", 2000),
        ({"user": "page:1"}, "/user", 2000), ({"user": "user:a#b"}, "/user", 2000), ({"limit": 0}, "/limit", None),
        ({"limit": 1001}, "/limit", None), ({"type": 3}, "/type", None),
    ],
)  # fmt: skip
def test_points_at_what_is_wrong_with_a_list_of_objects(client: Any, wrong: Any, pointer: str, code: int) -> None:
    reply = client.post(OBJECTS, {"user": "user:ann", "relation": "viewer", "type": "document", **wrong})
    assert (reply.status_code, pointers(reply), reply.json().get("openfga_code")) == (400, [pointer], code)


# users


def test_lists_every_user_once_over_pages(client: Any, product: Engine) -> None:
    store(product, *(key(f"user:{number:02}") for number in range(25)), key("user:*"), key("group:eng#member"))
    asked = {"object": "document:1", "relation": "viewer"}
    found = pages(client, USERS, {**asked, "limit": 10}, "users")
    assert [item for page in found for item in page] == ["user:*", *(f"user:{number:02}" for number in range(25))]
    assert pages(client, USERS, {**asked, "user_type": "group#member"}, "users") == [["group:eng#member"]]


@pytest.mark.parametrize(
    ("wrong", "pointer", "code"),
    [
        ({"object": "page:1"}, "/object", 2021), ({"object": ""}, "/object", 2000), ({"object": "x"}, "/object", 2000),
        ({"object": "document:*"}, "/object", 2000), ({"relation": "owner"}, "/relation", 2022),
        ({"user_type": "page"}, "/user_type", 2021), ({"user_type": "group#x"}, "/user_type", 2022),
        ({"user_type": ""}, "/user_type", 2021), ({"limit": -1}, "/limit", None),
    ],
)  # fmt: skip
def test_points_at_what_is_wrong_with_a_list_of_users(client: Any, wrong: Any, pointer: str, code: int) -> None:
    reply = client.post(USERS, {"object": "document:1", "relation": "viewer", **wrong})
    assert (reply.status_code, pointers(reply), reply.json().get("openfga_code")) == (400, [pointer], code)


# changes


def test_says_that_nothing_changed_yet(client: Any) -> None:
    assert client.get(CHANGES).json() == {"data": [], "next": None, "complete": True}


@pytest.mark.django_db(transaction=True)
def test_reads_on_where_it_stopped_and_later_too(api: Any, staff: Any) -> None:
    product, client = engine(), api(staff)
    store(product, key("user:ann"))
    store(product, key("user:bob", condition=in_hours(hour=3)))
    product.delete([Tuple.parse(key("user:ann"))])
    first = client.get(f"{CHANGES}?limit=2").json()
    assert [(one["operation"], one["user"]) for one in first["data"]] == [("write", "user:ann"), ("write", "user:bob")]
    assert (first["complete"], first["data"][1]["condition"]) == (False, in_hours(hour=3))
    second = client.get(first["next"]).json()
    assert [(one["operation"], one["user"]) for one in second["data"]] == [("delete", "user:ann")]
    assert second["complete"]
    assert client.get(second["next"]).json()["data"] == []
    store(product, key("user:cay", "member", "group:eng"))
    third = client.get(second["next"]).json()
    assert [one["object"] for one in third["data"]] == ["group:eng"]
    assert [one["object"] for one in _all_changes(client, f"{CHANGES}?object_type=group")] == ["group:eng"]
    since = third["data"][0]["created_at"]
    assert [one["user"] for one in client.get(CHANGES, {"start_time": since}).json()["data"]] == ["user:cay"]


def _all_changes(client: Any, link: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = client.get(link).json()
        found += page["data"]
        if page["complete"]:
            return found
        link = page["next"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "start_time=soon", "cursor=x", "type=document", "object_type="]
)
def test_refuses_a_change_query_that_means_nothing(client: Any, query: str) -> None:
    reply = client.get(f"{CHANGES}?{query}")
    assert (reply.status_code, pointers(reply)) == (400, [f"?{query.partition('=')[0]}"])


# expand and explain


def test_expands_as_openfga_does(client: Any, product: Engine, owner: Any) -> None:
    store(product, key("user:ann"), key(f"user:{owner.pk}"))
    tree = client.post(EXPAND, {"object": "document:1", "relation": "viewer"}).json()["tree"]
    direct, computed = tree["root"]["union"]["nodes"]
    assert direct["leaf"]["users"]["users"] == sorted(["user:ann", f"user:{owner.public_id}"], reverse=True)
    assert computed["leaf"]["computed"]["userset"] == "document:1#editor"


def test_explains_a_yes_and_a_no(client: Any, product: Engine) -> None:
    store(product, key("user:ann", "member", "group:eng"), key("group:eng#member"))
    yes = client.post(EXPLAIN, key("user:ann")).json()
    assert (yes["allowed"], yes["complete"], yes["tried"]) == (True, True, [])
    assert yes["witness"]["tuple"]["user"] == "group:eng#member"
    no = client.post(EXPLAIN, key("user:bob")).json()
    assert (no["allowed"], no["witness"]) == (False, None)
    assert no["tried"]
    assert no["text"][0].startswith("No: user:bob")


@pytest.mark.parametrize(
    ("path", "wrong", "pointer", "code"),
    [
        (EXPAND, {"object": "page:1"}, "/object", 2021), (EXPAND, {"relation": "x"}, "/relation", 2022),
        (EXPAND, {"object": ""}, "/object", 2000), (EXPAND, {"object": None}, "/object", None),
        (EXPLAIN, {"user": "undefined:1"}, "/user", 2000), (EXPLAIN, {"relation": "x"}, "/relation", 2000),
        (EXPLAIN, {"contextual_tuples": 3}, "/contextual_tuples", None),
    ],
)  # fmt: skip
def test_points_at_what_is_wrong(client: Any, path: str, wrong: dict[str, Any], pointer: str, code: int) -> None:
    asked = {"object": "document:1", "relation": "viewer", **({"user": "user:ann"} if path == EXPLAIN else {})}
    reply = client.post(path, {**asked, **wrong})
    assert (reply.status_code, pointers(reply), reply.json().get("openfga_code")) == (400, [pointer], code)


# who asks, and what it costs


@pytest.mark.parametrize("path", FOR_STAFF)
def test_is_for_staff(api: Any, owner: Any, organization: Any, product: Engine, path: str) -> None:
    asked = {"object": "document:1", "relation": "viewer", **({"user": f"user:{owner.pk}"} if path == EXPLAIN else {})}
    reply = api(owner).post(path, asked)
    assert (reply.status_code, reply.json()["permission"]) == (403, "accounts.permission.ask")
    assert api(owner).get(CHANGES).status_code == 403
    assert [api().post(path, asked).status_code, api().get(CHANGES).status_code] == [401, 401]


def test_lists_pages_of_any_size_with_as_many_queries(client: Any, product: Engine) -> None:
    store(product, *(key("user:ann", object=f"document:{number}") for number in range(60)))
    store(product, *(key(f"user:{number}", object="document:all") for number in range(60)))

    def cost(path: str, asked: dict[str, Any], limit: int, member: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert len(client.post(path, {**asked, "limit": limit}).json()[member]) == limit
        return len(queries)

    objects = {"user": "user:ann", "relation": "editor", "type": "document"}
    store(product, *(key("user:ann", "editor", f"document:{number}") for number in range(60)))
    users = {"object": "document:all", "relation": "viewer"}
    for path, asked, member in ((OBJECTS, objects, "objects"), (USERS, users, "users")):
        cost(path, asked, 1, member)
        assert cost(path, asked, 5, member) == cost(path, asked, 50, member)
