"""Permission models over HTTP: versions, faults with their places, and what another model would change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from accounts.actors import actor_of_user
from accounts.permissions.engine import Engine
from accounts.permissions.language import parse, to_dsl, to_json
from accounts.permissions.language.modules import files_of
from accounts.permissions.models import PermissionModel
from accounts.permissions.tuples import Tuple
from accounts.services import permission_models
from audit.models import Event
from tests.accounts.permissions.over_http import PERMISSIONS, TEXT, engine, in_hours, key, pointers
from tests.support.processes import ROOT

pytestmark = pytest.mark.django_db
MODELS, VALIDATE, DIFF = f"{PERMISSIONS}/models", f"{PERMISSIONS}/models/validate", f"{PERMISSIONS}/models/diff"
MODULE = "module wiki\n\ntype page\n  relations\n    define reader: [user]\n"


def whole(text: str = TEXT) -> str:
    """The text of the model that `engine(text)` makes, with what the product needs."""
    with transaction.atomic():
        model = engine(text).model
        transaction.set_rollback(True)
    return to_dsl(model)


def more(text: str = TEXT) -> str:
    return whole(text.replace("type project", "type page\n  relations\n    define reader: [user]\n\ntype project"))


def modules(**more: str) -> dict[str, str]:
    """The product's own modules and others."""
    manifest = ROOT / "fga.mod"
    names = files_of(manifest.read_text())[1] if manifest.exists() else []
    own = {name: (ROOT / name).read_text() for name in names} or {"base.fga": "module base\n\ntype user\n"}
    return {**own, **{f"{name}.fga": text for name, text in more.items()}}


@pytest.fixture
def product(db: None) -> Engine:
    return engine()


@pytest.fixture
def client(api: Any, staff: Any, product: Engine) -> Any:
    return api(staff)


# versions


def test_takes_text_json_and_modules(client: Any) -> None:
    for body in (
        {"text": more()},
        {"document": to_json(parse(more().replace("type page\n", "type leaf\n")))},
        {"modules": modules(wiki=MODULE)},
    ):
        made = client.post(MODELS, body)
        assert made.status_code == 201, made.content
        read = client.get(f"{MODELS}/{made.json()['id']}").json()
        assert read == made.json()
        assert {"page", "leaf"} & parse(read["text"]).types.keys()
    assert client.post(f"{PERMISSIONS}/check", key("user:ann", "reader", "page:1")).json() == {"allowed": False}


def test_shows_json_or_text_alone_when_told_to(client: Any, product: Engine) -> None:
    path = f"{MODELS}/{PermissionModel(pk=product.model_id).public_id}"
    both, dsl, json = (client.get(f"{path}?show={show}").json() for show in ("both", "dsl", "json"))
    assert (dsl, json) == ({**both, "document": None}, {**both, "text": None})
    assert "type project\n  relations\n    define organization: [group]\n" in both["text"]
    assert client.get(f"{path}?show=xml").status_code == 400
    assert client.get(f"{path}?format=json").status_code == 400


def test_has_no_text_for_what_only_json_can_say(client: Any) -> None:
    document = to_json(parse(whole()))
    (own,) = (item for item in document["type_definitions"] if item["type"] == "document")
    own["relations"]["viewer"]["union"]["child"].reverse()
    made = client.post(MODELS, {"document": document})
    assert (made.status_code, made.json()["text"]) == (201, None)


def test_records_what_changed_and_keeps_an_equal_model_as_it_is(client: Any, product: Engine) -> None:
    made, again = (client.post(MODELS, {"text": more()}) for _ in range(2))
    assert made.json()["id"] == again.json()["id"]
    event = Event.objects.get(type="accounts.permission_model.created")
    assert event.data["changes"] == ["added type page", "added relation page#reader"]
    assert event.data["model"] == made.json()["id"]


def test_lists_versions_the_newest_first(client: Any, product: Engine) -> None:
    newest = client.post(MODELS, {"text": more()}).json()["id"]
    listed = client.get(f"{MODELS}?limit=1&include_total=true").json()
    assert ([row["id"] for row in listed["data"]], listed["total"]) == ([newest], PermissionModel.objects.count())
    older = client.get(listed["next"]).json()
    assert [row["id"] for row in older["data"]] == [PermissionModel(pk=product.model_id).public_id]


def test_reads_a_page_of_any_size_with_as_many_queries(client: Any) -> None:
    for number in range(8):
        engine(TEXT.replace("project", f"project{number}"))

    def cost(limit: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert len(client.get(f"{MODELS}?limit={limit}").json()["data"]) == limit
        return len(queries)

    cost(1)
    assert cost(2) == cost(8)


@pytest.mark.parametrize("name", ["x", "mdl_00000000000000000000000000", "mdl_7zzzzzzzzzzzzzzzzzzzzzzzzz", "org_x"])
def test_knows_no_other_model(client: Any, name: str) -> None:
    reply = client.get(f"{MODELS}/{name}")
    assert (reply.status_code, reply.json()["openfga_code"]) == (404, 2001)


# faults


def test_names_every_fault_with_its_place(client: Any) -> None:
    text = whole().replace("[user, group#member]", "[user, grup#member]").replace("or editor", "or editr")
    reply = client.post(VALIDATE, {"text": text})
    body = reply.json()
    assert (reply.status_code, body["is_valid"]) == (200, False)
    found = [(fault["type"], fault["line"], fault["symbol"]) for fault in body["faults"]]
    lines = text.splitlines()
    assert [kind for kind, _, _ in found] == ["invalid-type", "missing-definition"]
    assert all(symbol in lines[line - 1] for _, line, symbol in found)
    assert all(lines[fault["line"] - 1][fault["column"] - 1 :].startswith(fault["symbol"]) for fault in body["faults"])
    refused = client.post(MODELS, {"text": text})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_authorization_model")
    assert (refused.json()["openfga_code"], refused.json()["model_faults"]) == (2056, body["faults"])
    assert pointers(refused) == ["/text", "/text"]


def test_finds_nothing_wrong_with_a_model_that_may_serve(client: Any) -> None:
    before = PermissionModel.objects.count()
    for body in ({"text": whole()}, {"modules": modules()}, {"document": to_json(parse(whole()))}):
        assert client.post(VALIDATE, body).json() == {"is_valid": True, "faults": []}
    assert PermissionModel.objects.count() == before


def test_names_the_file_of_a_fault_in_modules(client: Any) -> None:
    body = client.post(VALIDATE, {"modules": modules(b="module b\n\nextend type nothing\n")}).json()
    assert [(fault["file"], fault["type"]) for fault in body["faults"]] == [("b.fga", "extended-type-not-found")]


def test_says_where_json_is_of_another_shape(client: Any) -> None:
    body = client.post(VALIDATE, {"document": {"schema_version": "1.1", "type_definitions": [{"type": 3}]}}).json()
    assert [(fault["line"], fault["symbol"]) for fault in body["faults"]] == [(0, "/type_definitions/0/type")]


DEEP = "(" * 3000 + "[user]" + ")" * 3000


@pytest.mark.parametrize(
    "body",
    [
        {"text": ""}, {"text": "{}"}, {"text": "model"}, {"text": "type user"}, {"document": {}},
        {"document": {"type_definitions": 3}}, {"modules": {}},
        {"modules": {"a.fga": ""}}, {"document": {"schema_version": "1.1", "type_definitions": [None]}},
        {"text": f"model\n  schema 1.1\ntype user\n  relations\n    define a: {DEEP}\n"},
        {"text": "model\n  schema 1.1\ntype user\n  relations\n    define a: " + "[user] or (" * 60 + "a" + ")" * 60},
    ],
    ids=range(11),
)  # fmt: skip
def test_tells_as_a_fault_what_is_no_model(client: Any, body: dict[str, Any]) -> None:
    reply = client.post(VALIDATE, body)
    assert (reply.status_code, reply.json().get("is_valid")) == (200, False), reply.content
    assert client.post(MODELS, body).status_code == 400
    assert client.post(DIFF, {"after": body}).status_code == 400


def test_stands_a_document_nested_as_deep_as_a_body_can_be(client: Any) -> None:
    nested: dict[str, Any] = {"this": {}}
    for _ in range(150):
        nested = {"union": {"child": [nested]}}
    document = to_json(parse(TEXT))
    document["type_definitions"][-1]["relations"]["editor"] = nested
    reply = client.post(VALIDATE, {"document": document})
    assert (reply.status_code, reply.json()["is_valid"]) == (200, False)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/text"), ({"text": TEXT, "document": {}}, "/document"), ({"text": None}, "/text"), ({"text": 3}, "/text"),
        ({"modules": []}, "/modules"), ({"document": []}, "/document"), ({"document": 3}, "/document"),
        ({"modules": {"a": 3}}, "/modules/a"), ({"model": "x"}, "/model"),
        ({"text": "x" * (1024 * 1024 + 1)}, "/text"),
    ],
    ids=range(10),
)  # fmt: skip
def test_points_at_a_body_that_brings_no_model(client: Any, body: dict[str, Any], pointer: str) -> None:
    for path in (MODELS, VALIDATE):
        reply = client.post(path, body)
        assert reply.status_code == 400
        assert pointer in pointers(reply)


# what another model changes


def test_says_what_is_added_removed_and_changed(client: Any) -> None:
    other = more().replace("or editor", "").replace("hour < 18", "hour < 20").replace("define project: [project]\n", "")
    found = client.post(DIFF, {"after": {"text": other}}).json()["differences"]
    assert [(one["change"], one["kind"], one["name"]) for one in found] == [
        ("added", "type", "page"),
        ("removed", "relation", "document#project"),
        ("changed", "relation", "document#viewer"),
        ("added", "relation", "page#reader"),
        ("changed", "condition", "in_hours"),
    ]
    assert (found[1]["before"], found[1]["after"]) == ("[project]", None)
    assert found[2]["before"].endswith("] or editor")
    assert found[3]["after"] == "[user]"
    assert "hour < 20" in found[4]["after"]


def test_counts_the_tuples_that_would_be_ignored(client: Any, product: Engine) -> None:
    keys = [key("user:ann"), key("user:bob"), key("user:*"), key("user:cay", condition=in_hours(hour=3))]
    keys += [key("group:eng#member"), key("user:ann", "editor")]
    product.write(list(map(Tuple.parse, keys)))
    other = whole().replace("[user, user:*, user with in_hours, api_key, group#member]", "[api_key, group#member]")
    other = other.replace("define editor: [user]", "define editor: [user, user with in_hours]")  # else it is unused
    body = client.post(DIFF, {"after": {"text": other}}).json()
    assert (body["tuples_lost"]["count"], body["tuples_regained"]["count"]) == (4, 0)
    kinds = [(kind["subject"], kind["condition"], kind["count"]) for kind in body["tuples_lost"]["kinds"]]
    assert sorted(kinds) == [("user", "", 2), ("user", "in_hours", 1), ("user:*", "", 1)]
    newest = client.post(MODELS, {"text": other}).json()["id"]
    back = client.post(DIFF, {"after": {"model_id": PermissionModel(pk=product.model_id).public_id}}).json()
    assert (back["tuples_lost"]["count"], back["tuples_regained"]["count"]) == (0, 4)
    named = client.post(DIFF, {"before": {"text": whole()}, "after": {"model_id": newest}}).json()
    assert named["tuples_lost"]["count"] == 4


def test_finds_no_difference_where_only_the_order_is_another(client: Any) -> None:
    group = "type group\n  relations\n    define member: [user, group#member]\n"
    assert group in whole()
    other = whole().replace(group, "") + "\n" + group.replace("[user, group#member]", "[group#member, user]")
    assert client.post(DIFF, {"after": {"text": other}}).json()["differences"] == []


def test_tells_differences_in_the_same_order_every_time(client: Any) -> None:
    found = client.post(DIFF, {"after": {"text": "model\n  schema 1.1\ntype user\ntype b\ntype a\ntype c\n"}}).json()
    types = [one["name"] for one in found["differences"] if one["kind"] == "type"]
    removed = [name for name in types if name not in ("a", "b", "c")]
    assert types == [*sorted(removed), "a", "b", "c"]
    assert len(removed) > 5


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 400, "/after"), ({"after": {}}, 400, "/after"), ({"after": {"text": TEXT}, "before": 3}, 400, "/before"),
        ({"after": {"text": "x"}}, 400, "/after/text"),
        ({"after": {"text": TEXT, "model_id": "x"}}, 400, "/after/model_id"),
        ({"after": {"model_id": "mdl_00000000000000000000000009"}}, 404, "/after/model_id"),
        ({"after": {"model_id": "mdl_00000000000000000000000009", "text": TEXT}}, 400, "/after"),
    ],
)  # fmt: skip
def test_points_at_what_is_wrong_with_a_comparison(client: Any, body: Any, status: int, pointer: str) -> None:
    reply = client.post(DIFF, body)
    assert reply.status_code == status, reply.content
    assert {place.rsplit("#")[0] for place in pointers(reply)} == {pointer}


def test_is_for_staff(api: Any, owner: Any, organization: Any, product: Engine) -> None:
    client, path = api(owner), f"{MODELS}/{PermissionModel(pk=product.model_id).public_id}"
    replies = [client.get(MODELS), client.get(path), client.get(f"{MODELS}/x")]
    replies += [client.post(address, {"text": TEXT}) for address in (MODELS, VALIDATE, DIFF)]
    assert [reply.status_code for reply in replies] == [403] * 6
    assert api().get(MODELS).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_lets_two_at_once_come_one_after_the_other(staff: Any) -> None:
    engine()
    actor, barrier = actor_of_user(staff), Barrier(2)
    texts = {name: whole(TEXT.replace("type project", f"type {name}\n\ntype project")) for name in ("page", "leaf")}

    def create(name: str) -> str:
        try:
            barrier.wait(10)
            model = parse(texts[name])
            return permission_models.create(actor=actor, model=model).public_id
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(create, texts))
    first, second = Event.objects.filter(type="accounts.permission_model.created").order_by("subject_id")
    assert {first.data["model"], second.data["model"]} == set(made)
    added = first.data["changes"][0]
    assert first.data["changes"] == [added]
    assert set(second.data["changes"]) == {
        added.replace("added", "removed"),
        *({"added type page", "added type leaf"} - {added}),
    }
