"""Checks over HTTP: staff ask about anybody, everybody else about themselves."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.permissions.engine import Engine
from accounts.permissions.tuples import Tuple
from tests.accounts.permissions.over_http import PERMISSIONS, engine, in_hours, key, pointers
from tests.meta.company import key_of

pytestmark = pytest.mark.django_db
CHECK, BATCH = f"{PERMISSIONS}/check", f"{PERMISSIONS}/batch-check"


@pytest.fixture
def product(db: None) -> Engine:
    return engine()


@pytest.fixture
def client(api: Any, staff: Any, product: Engine) -> Any:
    return api(staff)


def store(product: Engine, *keys: dict[str, Any]) -> None:
    product.write(list(map(Tuple.parse, keys)))


# the answers


def test_says_yes_and_no(client: Any, product: Engine) -> None:
    store(product, key("user:ann", "member", "group:eng"), key("group:eng#member"))
    assert client.post(CHECK, key("user:ann")).json() == {"allowed": True}
    assert client.post(CHECK, key("user:bob")).json() == {"allowed": False}
    assert client.post(CHECK, key("group:eng#member")).json() == {"allowed": True}
    assert client.post(CHECK, key("user:ann", object="document:2")).json() == {"allowed": False}


def test_takes_tuples_and_parameters_for_one_question_alone(client: Any, product: Engine) -> None:
    brought = {"contextual_tuples": [key("user:ann", condition={"name": "in_hours"})]}
    asked = key("user:ann")
    assert client.post(CHECK, {**asked, **brought, "context": {"hour": 9}}).json() == {"allowed": True}
    assert client.post(CHECK, {**asked, **brought, "context": {"hour": 20}}).json() == {"allowed": False}
    missing = client.post(CHECK, {**asked, **brought})
    assert (missing.status_code, missing.json()["openfga_code"]) == (400, 2000)
    assert client.post(CHECK, asked).json() == {"allowed": False}


def test_takes_a_condition_with_its_context_beside_what_rows_say(client: Any, staff: Any) -> None:
    """What is known of a staff member enters too, and each once."""
    asked = key(f"user:{staff.pk}")
    at_nine, late = (key(f"user:{staff.pk}", condition=in_hours(hour=hour)) for hour in (9, 20))
    for brought, expected in (([at_nine], True), ([late], False), ([at_nine, at_nine], True)):
        reply = client.post(CHECK, {**asked, "contextual_tuples": brought})
        assert (reply.status_code, reply.json()) == (200, {"allowed": expected})


def test_answers_by_an_older_model(client: Any, product: Engine) -> None:
    store(product, key("user:ann"))
    old = product.model_id
    engine("model\n  schema 1.1\ntype user\ntype document\n  relations\n    define viewer: [user] but not banned\n"
           "    define banned: [user]\n")  # fmt: skip
    from accounts.permissions.models import PermissionModel

    public_id = PermissionModel(pk=old).public_id
    assert client.post(CHECK, key("user:ann", "editor")).status_code == 400
    assert client.post(CHECK, {**key("user:ann", "editor"), "model_id": public_id}).json() == {"allowed": False}
    unknown = client.post(CHECK, {**key("user:ann"), "model_id": PermissionModel(pk=10**9).public_id})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "authorization_model_not_found")
    assert unknown.json()["openfga_code"] == 2001
    assert PermissionModel(pk=10**9).public_id in unknown.json()["detail"]
    assert client.post(CHECK, {**key("user:ann"), "model_id": "mdl_7zzzzzzzzzzzzzzzzzzzzzzzzz"}).status_code == 404
    assert client.post(CHECK, {**key("user:ann"), "model_id": 3}).status_code == 400


def test_asks_past_every_cache_when_told_to(client: Any, product: Engine) -> None:
    assert client.post(CHECK, {**key("user:ann"), "consistency": "higher"}).json() == {"allowed": False}
    store(product, key("user:ann"))
    assert client.post(CHECK, {**key("user:ann"), "consistency": "higher"}).json() == {"allowed": True}
    assert client.post(CHECK, {**key("user:ann"), "consistency": "eventual"}).status_code == 400


def test_answers_each_of_many_in_the_order_of_the_request(client: Any, product: Engine) -> None:
    store(
        product,
        key("user:ann"),
        key("user:bob", condition=in_hours(hour=9)),
        key("user:cay", condition={"name": "in_hours"}),
    )
    checks = [key("user:dan"), key("user:ann"), key("undefined:x"), key("user:bob"), key("user:cay")]
    checks += [key("user:ann", "owner"), key("user:ann", object="page:1"), key("user:ann", "editor")]
    reply = client.post(BATCH, {"checks": checks})
    assert reply.status_code == 200, reply.content
    answers = reply.json()["results"]
    assert [answer.get("allowed") for answer in answers] == [False, True, None, True, None, None, None, False]
    faults = {number: answer["error"] for number, answer in enumerate(answers) if "error" in answer}
    assert {number: fault["pointer"] for number, fault in faults.items()} == {
        2: "/checks/2/user", 4: "/checks/4", 5: "/checks/5/relation", 6: "/checks/6/object",
    }  # fmt: skip
    assert {fault["openfga_code"] for fault in faults.values()} == {2000}
    assert faults[5]["allowed_types"] == ["project", "editor", "viewer"]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"checks": []}, {"checks": None}, {"checks": {}}, {"checks": [3]}, {"checks": [{}]}, {"checks": [None]},
        {"checks": [{**key("user:ann"), "condition": None}]}, {"checks": [key("user:ann")] * 1001},
        {"checks": [{"user": 3, "relation": "viewer", "object": "document:1"}]}, {"tuple_keys": []},
    ],
)  # fmt: skip
def test_refuses_a_body_without_its_list_or_with_one_of_other_shape(client: Any, body: Any) -> None:
    reply = client.post(BATCH, body)
    assert reply.status_code == 400, reply.content
    assert reply.json()["errors"]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"user": "undefined:1"}, "/user"), ({"user": ""}, "/user"), ({"user": None}, "/user"),
        ({"user": "[object Object]"}, "/user"), ({"object": "null:1"}, "/object"), ({"object": ""}, "/object"),
        ({"user": "user:a#nothing"}, "/user"), ({"user": "user:*#member"}, "/user"), ({"user": "page:1"}, "/user"),
        ({"object": "page:1"}, "/object"), ({"object": "document:*"}, "/object"), ({"object": "document"}, "/object"),
        ({"relation": ""}, "/relation"), ({"relation": "owner"}, "/relation"), ({"relation": "x" * 99}, "/relation"),
        ({"context": []}, "/context"), ({"context": {"hour": 2**60}}, "/context"), ({"more": 1}, "/more"),
        ({"contextual_tuples": {}}, "/contextual_tuples"),
        ({"contextual_tuples": [3]}, "/contextual_tuples/0"),
        ({"contextual_tuples": [key("user:ann"), key("page:1")]}, "/contextual_tuples/1/user"),
        ({"contextual_tuples": [key("user:ann", "owner")]}, "/contextual_tuples/0/relation"),
    ],
)  # fmt: skip
def test_points_at_what_is_wrong_with_a_question(client: Any, wrong: dict[str, Any], pointer: str) -> None:
    reply = client.post(CHECK, {**key("user:ann"), **wrong})
    assert (reply.status_code, pointers(reply)) == (400, [pointer]), reply.content


def test_calls_a_tuple_brought_along_that_cannot_be_by_its_openfga_code(client: Any) -> None:
    reply = client.post(CHECK, {**key("user:ann"), "contextual_tuples": [key("project:1")]})
    assert (reply.json()["code"], reply.json()["openfga_code"]) == ("invalid_tuple", 2027)
    assert reply.json()["allowed_types"] == ["user", "user:*", "user with in_hours", "api_key", "group#member"]


def test_says_when_an_answer_lies_too_far_away(client: Any, product: Engine) -> None:
    groups = [key(f"group:{number}#member", "member", f"group:{number + 1}") for number in range(40)]
    store(product, key("user:ann", "member", "group:0"), *groups)
    reply = client.post(CHECK, key("user:ann", "member", "group:40"))
    assert (reply.status_code, reply.json()["openfga_code"]) == (400, 2002)
    assert reply.json()["code"] == "authorization_model_resolution_too_complex"


# who asks


def test_needs_to_be_told_by_staff_whom_they_mean(client: Any, staff: Any, product: Engine) -> None:
    reply = client.post(CHECK, {"relation": "viewer", "object": "document:1"})
    assert (reply.status_code, pointers(reply)) == (400, ["/user"])


def test_answers_everybody_about_themselves(api: Any, owner: Any, organization: Any, product: Engine) -> None:
    store(product, key(f"user:{owner.pk}"))
    client = api(owner)
    asked = {"relation": "viewer", "object": "document:1"}
    for user in ({}, {"user": f"user:{owner.pk}"}, {"user": f"user:{owner.public_id}"}):
        assert client.post(CHECK, {**asked, **user}).json() == {"allowed": True}
        assert client.post(BATCH, {"checks": [{**asked, **user}]}).json() == {"results": [{"allowed": True}]}
    assert client.post(CHECK, {**asked, "object": "document:2"}).json() == {"allowed": False}


def test_answers_a_key_about_itself(api: Any, owner: Any, organization: Any, product: Engine) -> None:
    row, text = key_of(organization, owner)
    store(product, key(f"api_key:{row.pk}"))
    client = api().carry(text)
    assert client.post(CHECK, {"relation": "viewer", "object": "document:1"}).json() == {"allowed": True}
    assert client.post(CHECK, key(f"user:{owner.pk}")).status_code == 403


@pytest.mark.parametrize(
    "user", ["user:{stranger}", "user:*", "group:eng#member", "", "undefined", "organization:{own}"]
)
def test_answers_nobody_but_staff_about_others(
    api: Any, owner: Any, organization: Any, stranger: Any, product: Engine, user: str
) -> None:
    client = api(owner)
    named = user.format(stranger=stranger.pk, own=organization.pk)
    single, many = client.post(CHECK, key(named)), client.post(BATCH, {"checks": [key(None), key(named)]})
    assert (single.status_code, pointers(single)) == (403, ["/user"])
    assert (many.status_code, pointers(many)) == (403, ["/checks/1/user"])
    assert single.json()["permission"] == "accounts.permission.ask"


@pytest.mark.parametrize("brought", [{"contextual_tuples": []}, {"model_id": "mdl_00000000000000000000000001"}])
def test_lets_nobody_but_staff_make_up_tuples_or_choose_a_model(
    api: Any, owner: Any, organization: Any, product: Engine, brought: dict[str, Any]
) -> None:
    """With a tuple made up, `group:eng#member@me`, one would learn what that group holds."""
    client = api(owner)
    asked = {"relation": "viewer", "object": "document:1"}
    assert client.post(CHECK, {**asked, **brought}).status_code == 403
    assert client.post(BATCH, {"checks": [asked], **brought}).status_code == 403


def test_lets_in_nobody_without_a_token(api: Any, product: Engine) -> None:
    assert [api().post(path, {}).status_code for path in (CHECK, BATCH)] == [401, 401]


def test_answers_a_thousand_checks_in_one_request_in_as_many_queries_as_one(client: Any, product: Engine) -> None:
    store(product, *(key(f"user:{number}", object=f"document:{number}") for number in range(0, 1000, 2)))

    def cost(number: int) -> int:
        checks = [key(f"user:{each}", object=f"document:{each}") for each in range(number)]
        with CaptureQueriesContext(connection) as queries:
            reply = client.post(BATCH, {"checks": checks})
        assert [one["allowed"] for one in reply.json()["results"]] == [each % 2 == 0 for each in range(number)]
        return len(queries)

    cost(1)
    assert cost(5) == cost(1000)
