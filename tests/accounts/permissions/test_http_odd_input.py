"""Whatever is sent: a fault that is told, or an answer; never a crash."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.permissions.engine import Engine
from accounts.permissions.models import PermissionModel
from accounts.permissions.tuples import Tuple
from tests.accounts.permissions.over_http import PERMISSIONS, engine, key

pytestmark = pytest.mark.django_db

KINDS = ("int", "uint", "double", "bool", "string", "duration", "timestamp", "ipaddress", "any")
TYPES = (*KINDS, "list<int>", "map<string>", "map<any>")
TEXT = (
    "model\n  schema 1.1\n\ntype user\n\ntype document\n  relations\n    define viewer: [user, "
    + ", ".join(f"user with c{number}" for number in range(len(TYPES)))
    + "]\n\n"
    + "\n\n".join(f"condition c{number}(x: {kind}) {{\n  x == x\n}}" for number, kind in enumerate(TYPES))
    + "\n"
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(["1h", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "10.0.0.1", "1e400", "-1", "1.5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ANYTHING_FOR_A_NAME = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["user:ann", "user:*", "document:1", "document:1#viewer", "user:a@b", "user::", "#", ":", "user:#"]
    ),
)


@pytest.fixture
def product(db: None) -> Engine:
    return engine(TEXT)


@pytest.fixture
def client(api: Any, staff: Any, product: Engine, settings: Any) -> Any:
    settings.RATE_LIMIT_SCALE = 1e6
    return api(staff)


ANY = settings(max_examples=15, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("number", range(len(TYPES)), ids=TYPES)
def test_takes_any_value_of_a_parameter_or_refuses_it(client: Any, product: Engine, number: int) -> None:
    condition = {"name": f"c{number}"}
    product.write([Tuple.parse(key("user:ann", condition=condition))])

    @ANY
    @given(JSON)
    def ask(value: Any) -> None:
        context = {"x": value}
        asked = client.post(f"{PERMISSIONS}/check", {**key("user:ann"), "context": context})
        assert asked.status_code in (200, 400), asked.content
        with_it = {"writes": [key("user:bob", condition={**condition, "context": context})], "on_duplicate": "replace"}
        written = client.post(f"{PERMISSIONS}/tuples", with_it)
        explained = client.post(f"{PERMISSIONS}/explain", {**key("user:bob"), "context": context})
        assert {written.status_code, explained.status_code} <= {200, 400}, (written.content, explained.content)

    ask()


@ANY
@given(ANYTHING_FOR_A_NAME, ANYTHING_FOR_A_NAME, ANYTHING_FOR_A_NAME)
def test_takes_any_names_or_refuses_them(client: Any, user: str, relation: str, target: str) -> None:
    one = {"user": user, "relation": relation, "object": target}
    listed = {"user": user, "relation": relation, "type": target}
    for path, body in (
        ("check", one), ("explain", one), ("batch-check", {"checks": [one]}), ("tuples", {"writes": [one]}),
        ("tuples", {"deletes": [one]}), ("list-objects", listed), ("expand", {"object": target, "relation": relation}),
        ("list-users", {"object": target, "relation": relation, "user_type": user}),
        ("check", {**key("user:ann"), "contextual_tuples": [one]}),
    ):  # fmt: skip
        reply = client.post(f"{PERMISSIONS}/{path}", body)
        assert reply.status_code in (200, 400), (path, reply.content)
    for filters in ({"user": user}, {"object": target}, {"relation": relation}, {"object_type": target}):
        assert client.get(f"{PERMISSIONS}/tuples", filters).status_code in (200, 400)
        assert client.get(f"{PERMISSIONS}/changes", filters).status_code in (200, 400)


@ANY
@given(JSON)
def test_takes_anything_for_a_model_or_says_what_is_wrong_with_it(client: Any, value: Any) -> None:
    whole = {"schema_version": "1.1", "type_definitions": [{"type": "user"}]}
    for document in (
        value,
        {"schema_version": value},
        {**whole, "type_definitions": value},
        {**whole, "type_definitions": [{"type": "user", "relations": value}]},
        {**whole, "type_definitions": [{"type": "user", "metadata": value}]},
        {**whole, "conditions": value},
    ):
        reply = client.post(f"{PERMISSIONS}/models/validate", {"document": document})
        assert reply.status_code in (200, 400), reply.content


@ANY
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200) | st.text("()[] \n:#,ortypedfin"))
def test_takes_any_text_for_a_model_or_says_what_is_wrong_with_it(client: Any, text: str) -> None:
    for whole in (text, f"model\n  schema 1.1\ntype user\n  relations\n    define a: {text}\n"):
        reply = client.post(f"{PERMISSIONS}/models/validate", {"text": whole})
        assert reply.status_code in (200, 400), reply.content
    before = PermissionModel.objects.count()
    condition = f"model\n  schema 1.1\ntype user\ncondition c(x: int) {{\n  {text}\n}}\n"
    assert client.post(f"{PERMISSIONS}/models/validate", {"text": condition}).status_code in (200, 400)
    assert PermissionModel.objects.count() == before
