"""What every provider of permissions must do, our engine and an OpenFGA server alike.

Where one is better than the other the difference is written down here, as a test of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import Faulty, Model, parse
from accounts.permissions.providers.base import Engine, ListCutOff, Provider
from accounts.permissions.providers.local import LocalProvider
from accounts.permissions.tuples import Tuple
from core.ids import new_id

pytestmark = pytest.mark.django_db

MODEL = """model
  schema 1.1

type user

type group
  relations
    define member: [user, user:*, group#member]

type folder
  relations
    define parent: [folder]
    define viewer: [user, group#member, user with inside] or viewer from parent

type document
  relations
    define parent: [folder]
    define owner: [user]
    define banned: [user, group#member]
    define shared: [user, user:*, group#member, user with older_than]
    define viewer: owner or shared or viewer from parent
    define reader: viewer but not banned
    define keeper: owner and viewer

condition older_than(age: int, limit: int) {
  age >= limit
}

condition inside(address: ipaddress, network: string) {
  address.in_cidr(network)
}
"""


@pytest.fixture(params=["local", "openfga"])
def provider(request: pytest.FixtureRequest, db: None) -> Provider:
    if request.param == "local":
        return LocalProvider()
    from accounts.permissions.providers.openfga import OpenFGAProvider
    from accounts.permissions.providers.openfga_http import Address, Server

    return OpenFGAProvider(Server(Address(request.getfixturevalue("openfga").address)))


@pytest.fixture
def name() -> str:
    return f"contract {new_id().hex}"


@pytest.fixture
def engine(provider: Provider, name: str) -> Iterator[Engine]:
    yield provider.save_model(name, parse(MODEL))
    provider.remove(name)


def t(text: str, condition: str = "", **context: Any) -> Tuple:
    """`document:1#viewer@user:ann`"""
    place, _, user = text.partition("@")
    target, _, relation = place.partition("#")
    key: dict[str, Any] = {"user": user, "relation": relation, "object": target}
    if condition:
        key["condition"] = {"name": condition, "context": context}
    return Tuple.parse(key)


def refused(ask: Any) -> Code:
    with pytest.raises(Refused) as caught:
        ask()
    return caught.value.code


# --- models ---


def test_opens_the_newest_model_and_any_older_one(provider: Provider, name: str) -> None:
    older = "model\n  schema 1.1\ntype user\ntype document\n  relations\n    define viewer: [user]\n"
    provider.save_model(name, parse(older))
    provider.save_model(name, parse(MODEL))
    versions = [one.id for one in provider.models(name)]
    assert len(versions) == 2
    assert provider.open(name).model == parse(MODEL)
    assert provider.open(name, versions[1]).model == parse(older)
    provider.remove(name)


def test_refuses_a_model_and_a_store_that_are_not_there(provider: Provider, name: str, engine: Engine) -> None:
    assert refused(lambda: provider.open("no such store")) is Code.MODEL_NOT_FOUND
    assert refused(lambda: provider.open(name, "999999999")) is Code.MODEL_NOT_FOUND
    assert provider.models("no such store") == []


def test_refuses_a_model_with_faults(provider: Provider, name: str) -> None:
    model = Model("1.1", parse("model\n  schema 1.1\ntype user\n").types, {})
    faulty = parse(MODEL)
    del faulty.types["folder"]  # type: ignore[attr-defined]
    with pytest.raises(Faulty):
        provider.save_model(name, faulty)
    provider.save_model(name, model)
    provider.remove(name)


def test_removes_a_store_with_all_that_it_holds(provider: Provider, name: str) -> None:
    provider.save_model(name, parse(MODEL)).write([t("document:1#owner@user:ann")])
    provider.remove(name)
    provider.remove(name)
    assert refused(lambda: provider.open(name)) is Code.MODEL_NOT_FOUND


def test_says_that_it_is_well(provider: Provider, settings: Any) -> None:
    settings.OPENFGA_STORE = "countinghouse"
    assert provider.health().is_healthy


# --- checks ---


def test_follows_groups_in_groups_and_folders_in_folders(engine: Engine) -> None:
    engine.write([
        t("group:eng#member@user:ann"),
        t("group:all#member@group:eng#member"),
        t("folder:root#viewer@group:all#member"),
        t("folder:sub#parent@folder:root"),
        t("document:1#parent@folder:sub"),
    ])  # fmt: skip
    assert engine.check("user:ann", "viewer", "document:1")
    assert not engine.check("user:bob", "viewer", "document:1")
    assert engine.check("group:eng#member", "viewer", "document:1")


def test_takes_a_wildcard_for_everybody_of_its_type(engine: Engine) -> None:
    engine.write([t("document:1#shared@user:*")])
    assert engine.check("user:anybody", "viewer", "document:1")
    assert engine.check("user:*", "viewer", "document:1")
    assert not engine.check("group:eng#member", "viewer", "document:1")


def test_takes_away_what_but_not_takes_away(engine: Engine) -> None:
    engine.write(
        [t("document:1#shared@user:*"), t("document:1#banned@group:out#member"), t("group:out#member@user:bob")]
    )
    assert engine.check("user:ann", "reader", "document:1")
    assert not engine.check("user:bob", "reader", "document:1")


def test_asks_both_sides_of_and(engine: Engine) -> None:
    engine.write([t("document:1#owner@user:ann"), t("document:1#shared@user:bob")])
    assert engine.check("user:ann", "keeper", "document:1")
    assert not engine.check("user:bob", "keeper", "document:1")


def test_answers_no_in_a_circle(engine: Engine) -> None:
    engine.write([t("group:a#member@group:b#member"), t("group:b#member@group:a#member")])
    engine.write([t("folder:a#parent@folder:b"), t("folder:b#parent@folder:a")])
    assert not engine.check("user:ann", "member", "group:a")
    assert not engine.check("user:ann", "viewer", "folder:a")


def test_takes_what_is_given_for_one_question_only(engine: Engine) -> None:
    given = [t("document:1#shared@group:eng#member"), t("group:eng#member@user:ann")]
    assert engine.check("user:ann", "viewer", "document:1", given=given)
    assert not engine.check("user:ann", "viewer", "document:1")
    assert engine.list_objects("user:ann", "viewer", "document", given=given) == ["document:1"]
    assert engine.list_users("document:1", "viewer", "user", given=given) == ["user:ann"]


def test_evaluates_conditions_by_what_is_stored_and_what_is_asked(engine: Engine) -> None:
    engine.write([t("document:1#shared@user:ann", "older_than", limit=18)])
    assert engine.check("user:ann", "viewer", "document:1", context={"age": 18})
    assert not engine.check("user:ann", "viewer", "document:1", context={"age": 17})
    assert engine.check("user:ann", "viewer", "document:1", context={"age": 18, "limit": 99}), "what is stored counts"
    assert refused(lambda: engine.check("user:ann", "viewer", "document:1")) is Code.VALIDATION


def test_does_not_need_a_parameter_where_the_answer_does_not_hang_on_it(engine: Engine) -> None:
    engine.write([t("document:1#owner@user:ann"), t("document:1#shared@user:ann", "older_than", limit=18)])
    assert engine.check("user:ann", "viewer", "document:1")


def test_ignores_a_tuple_that_the_model_does_not_allow_any_more(provider: Provider, name: str, engine: Engine) -> None:
    engine.write([t("document:1#owner@user:ann"), t("document:1#shared@user:*"), t("document:1#banned@user:eve")])
    narrower = MODEL.replace("define shared: [user, user:*, group#member,", "define shared: [user, group#member,")
    newest = provider.save_model(name, parse(narrower))
    assert newest.check("user:ann", "viewer", "document:1")
    assert not newest.check("user:bob", "viewer", "document:1")
    assert engine.check("user:bob", "viewer", "document:1"), "the older model still allows it"


def test_answers_many_at_once_each_in_its_place(engine: Engine) -> None:
    engine.write([t(f"document:{number}#owner@user:ann") for number in range(0, 120, 2)])
    questions = [("user:ann", "viewer", f"document:{number}") for number in range(120)]
    questions[7] = ("user:ann", "no_such_relation", "document:7")
    questions[61] = ("thing:ann", "viewer", "document:61")
    found = engine.check_many(questions)
    assert [one for place, one in enumerate(found) if place not in (7, 61)] == [
        place % 2 == 0 for place in range(120) if place not in (7, 61)
    ]
    assert [getattr(found[place], "code", None) for place in (7, 61)] == [Code.VALIDATION, Code.VALIDATION]


# --- lists and expand ---


def test_lists_objects_and_users(engine: Engine) -> None:
    engine.write([
        t("document:1#owner@user:ann"),
        t("document:2#shared@group:eng#member"),
        t("group:eng#member@user:ann"),
        t("group:eng#member@user:bob"),
        t("document:2#banned@user:ann"),
    ])  # fmt: skip
    assert engine.list_objects("user:ann", "viewer", "document") == ["document:1", "document:2"]
    assert engine.list_objects("user:ann", "reader", "document") == ["document:1"]
    assert engine.list_objects("user:eve", "viewer", "document") == []
    assert engine.list_users("document:2", "viewer", "user") == ["user:ann", "user:bob"]
    assert engine.list_users("document:2", "reader", "user") == ["user:bob"]
    assert engine.list_users("document:2", "viewer", "group#member") == ["group:eng#member"]


def test_lists_everybody_as_such(engine: Engine) -> None:
    engine.write([t("document:1#shared@user:*"), t("document:1#owner@user:ann")])
    assert engine.list_users("document:1", "viewer", "user") == ["user:*", "user:ann"]


def test_lists_by_conditions(engine: Engine) -> None:
    engine.write([t("document:1#shared@user:ann", "older_than", limit=18)])
    engine.write([t("document:2#shared@user:ann", "older_than", limit=30)])
    assert engine.list_objects("user:ann", "viewer", "document", context={"age": 20}) == ["document:1"]
    assert engine.list_users("document:2", "viewer", "user", context={"age": 20}) == []
    assert refused(lambda: engine.list_objects("user:ann", "viewer", "document")) is Code.VALIDATION


def test_our_lists_are_complete_and_a_servers_end_at_a_thousand(provider: Provider, engine: Engine) -> None:
    engine.write([t(f"document:{number:04}#owner@user:ann") for number in range(1005)])
    if provider.name == "local":
        found = engine.list_objects("user:ann", "owner", "document")
        assert found == [f"document:{number:04}" for number in range(1005)]
        return
    with pytest.raises(ListCutOff) as caught:
        engine.list_objects("user:ann", "owner", "document")
    assert caught.value.extra["count"] == 1000, "and whoever asks is told that there may be more"


def test_gives_a_list_in_pages(engine: Engine) -> None:
    engine.write([t(f"document:{number}#shared@user:ann") for number in range(1, 6)])
    engine.write([t(f"document:1#shared@user:{name}") for name in ("bob", "eve")])
    first = engine.page_of_objects("user:ann", "viewer", "document", limit=2)
    assert (first.items, first.is_complete) == (("document:1", "document:2"), False)
    second = engine.page_of_objects("user:ann", "viewer", "document", limit=3, after=first.next)
    assert (second.items, second.next, second.is_complete) == (("document:3", "document:4", "document:5"), None, True)
    users = engine.page_of_users("document:1", "viewer", "user", limit=2)
    assert users.items == ("user:ann", "user:bob")
    assert engine.page_of_users("document:1", "viewer", "user", after=users.next).items == ("user:eve",)
    assert refused(lambda: engine.page_of_objects("user:ann", "viewer", "document", limit=0)) is Code.VALIDATION


def test_lists_for_several_relations(engine: Engine) -> None:
    engine.write([t("document:1#owner@user:ann"), t("document:2#shared@user:ann"), t("document:2#banned@user:ann")])
    asked = [("document", "owner"), ("document", "viewer"), ("document", "reader"), ("folder", "viewer")]
    assert engine.objects_by_relation("user:ann", asked) == {
        ("document", "owner"): ["document:1"],
        ("document", "viewer"): ["document:1", "document:2"],
        ("document", "reader"): ["document:1"],
        ("folder", "viewer"): [],
    }


def test_expands_one_level(engine: Engine) -> None:
    engine.write([t("document:1#owner@user:ann"), t("document:1#parent@folder:1"), t("document:1#banned@user:eve")])
    root = engine.expand("document:1", "reader").as_json()["tree"]["root"]
    base, subtract = root["difference"]["base"], root["difference"]["subtract"]
    assert base["leaf"]["computed"] == {"userset": "document:1#viewer"}
    assert subtract["leaf"]["computed"] == {"userset": "document:1#banned"}
    nodes = engine.expand("document:1", "viewer").as_json()["tree"]["root"]["union"]["nodes"]
    assert [next(iter(node["leaf"])) for node in nodes] == ["computed", "computed", "tupleToUserset"]
    leaf = engine.expand("document:1", "owner").as_json()["tree"]["root"]["leaf"]
    assert leaf["users"]["users"] == ["user:ann"]


# --- tuples ---


def test_says_what_became_of_each_tuple(engine: Engine) -> None:
    ann, bob = t("document:1#owner@user:ann"), t("document:1#owner@user:bob")
    assert engine.write([ann]) == ["created"]
    assert engine.write([ann, bob, bob]) == ["unchanged", "created", "unchanged"]
    assert engine.delete([ann, t("document:1#owner@user:eve"), ann]) == ["removed", "missing", "missing"]
    assert engine.check("user:bob", "owner", "document:1")
    assert not engine.check("user:ann", "owner", "document:1")


def test_refuses_what_exists_and_what_is_missing_when_told_to(engine: Engine) -> None:
    ann, bob = t("document:1#owner@user:ann"), t("document:1#owner@user:bob")
    engine.write([ann])
    assert refused(lambda: engine.write([bob, ann], on_duplicate="error")) is Code.WRITE_FAILED
    assert refused(lambda: engine.write([bob, bob], on_duplicate="error")) is Code.DUPLICATE_TUPLES
    assert refused(lambda: engine.delete([ann, bob], on_missing="error")) is Code.WRITE_FAILED
    assert refused(lambda: engine.delete([ann, ann], on_missing="error")) is Code.DUPLICATE_TUPLES
    assert engine.list_users("document:1", "owner", "user") == ["user:ann"], "nothing was written"


def test_replaces_a_condition_only_when_told_to(engine: Engine) -> None:
    plain, bound = t("document:1#shared@user:ann"), t("document:1#shared@user:ann", "older_than", limit=18)
    engine.write([plain])
    assert refused(lambda: engine.write([bound])) is Code.WRITE_FAILED
    assert engine.write([bound, t("document:2#shared@user:ann")], on_duplicate="replace") == ["replaced", "created"]
    assert engine.write([bound], on_duplicate="replace") == ["unchanged"]
    assert not engine.check("user:ann", "viewer", "document:1", context={"age": 1})


def test_takes_more_than_a_hundred_tuples_at_once(engine: Engine) -> None:
    many = [t(f"document:{number:03}#owner@user:ann") for number in range(250)]
    assert set(engine.write(many)) == {"created"}
    assert len(engine.list_objects("user:ann", "owner", "document")) == 250
    assert set(engine.delete(many)) == {"removed"}


def test_writes_all_or_none_up_to_a_hundred_and_ours_beyond(provider: Provider, engine: Engine) -> None:
    wrong = t("document:1#owner@group:eng#member")
    many = [t(f"document:{number:03}#owner@user:ann") for number in range(150)]
    assert refused(lambda: engine.write([*many[:50], wrong])) is Code.VALIDATION
    assert engine.list_objects("user:ann", "owner", "document") == []
    assert refused(lambda: engine.write([*many, wrong])) is Code.VALIDATION
    left = engine.list_objects("user:ann", "owner", "document")
    assert len(left) == (0 if provider.name == "local" else 100), "a server takes a hundred in one transaction"


def test_reads_tuples_by_what_is_asked_for(engine: Engine) -> None:
    engine.write([
        t("document:1#owner@user:ann"),
        t("document:1#shared@user:bob", "older_than", limit=18),
        t("document:2#owner@user:ann"),
        t("group:eng#member@user:ann"),
    ])  # fmt: skip

    def found(**asked: Any) -> list[str]:
        return sorted(str(one.tuple) for one in engine.read(**asked).items)

    assert len(found()) == 4
    assert found(object_type="document", object_id="1", relation="owner") == ["document:1#owner@user:ann"]
    assert found(object_type="document", object_id="1", subject="user:bob") == [
        "document:1#shared@user:bob with older_than"
    ]
    assert found(object_type="document", subject="user:ann") == [
        "document:1#owner@user:ann",
        "document:2#owner@user:ann",
    ]
    assert found(relation="member") == found(object_type="group") == ["group:eng#member@user:ann"]
    assert found(condition="older_than") == ["document:1#shared@user:bob with older_than"]
    assert found(object_type="document", object_id="9") == []


def test_reads_all_tuples_page_by_page(engine: Engine) -> None:
    written = [t(f"document:{number}#owner@user:ann") for number in range(130)]
    engine.write(written)
    found, after = [], None
    while True:
        page = engine.read(limit=50, after=after)
        assert len(page.items) <= 50
        found += [str(one.tuple) for one in page.items]
        after = page.next
        if after is None:
            break
    assert sorted(found) == sorted(map(str, written))


@pytest.mark.django_db(transaction=True)
def test_tells_what_changed_in_its_order_and_once(engine: Engine) -> None:
    ann, bob = t("document:1#owner@user:ann"), t("document:1#shared@user:bob", "older_than", limit=18)
    engine.write([ann])
    engine.write([ann])
    engine.write([bob])
    engine.delete([ann, t("document:1#owner@user:nobody")])
    engine.write([t("group:eng#member@user:ann")])
    page = engine.changes()
    assert [(one.operation, str(one.tuple)) for one in page.items] == [
        ("write", str(ann)),
        ("write", str(bob)),
        ("delete", str(ann)),
        ("write", "group:eng#member@user:ann"),
    ]
    assert page.items[1].tuple.context == {"limit": 18}
    assert engine.changes(after=page.next).items == ()
    first = engine.changes(limit=3)
    assert [one.operation for one in engine.changes(after=first.next).items] == ["write"]
    assert [str(one.tuple.object) for one in engine.changes(of_type="group").items] == ["group:eng"]


# --- refusals ---


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("document:1#owner@group:eng#member", ("user",)),
        ("document:1#owner@user:*", ("user",)),
        ("document:1#viewer@user:ann", ()),
        ("document:1#none@user:ann", ("parent", "owner", "banned", "shared", "viewer", "reader", "keeper")),
        ("thing:1#owner@user:ann", ("user", "group", "folder", "document")),
        ("group:1#member@group:1#member", ()),
    ],
)
def test_refuses_to_write_what_the_model_does_not_allow_and_says_what_it_does(
    engine: Engine, text: str, allowed: tuple[str, ...]
) -> None:
    with pytest.raises(Refused) as caught:
        engine.write([t(text)])
    assert caught.value.code is Code.VALIDATION
    assert caught.value.allowed == allowed


def test_refuses_a_context_that_does_not_fit_its_condition(engine: Engine) -> None:
    assert (
        refused(lambda: engine.write([t("document:1#shared@user:ann", "older_than", limit="much")])) is Code.VALIDATION
    )


@pytest.mark.parametrize(
    "question",
    [
        ("user:ann", "viewer", "thing:1"),
        ("user:ann", "none", "document:1"),
        ("thing:ann", "viewer", "document:1"),
        ("group:eng#none", "viewer", "document:1"),
        ("ann", "viewer", "document:1"),
        ("user:ann", "viewer", "document"),
        ("user:ann", "viewer", ""),
        ("", "viewer", "document:1"),
        ("user:ann", "", "document:1"),
    ],
)
def test_refuses_a_check_of_what_is_not_in_the_model(engine: Engine, question: tuple[str, str, str]) -> None:
    assert refused(lambda: engine.check(*question)) is Code.VALIDATION


def test_refuses_lists_of_what_is_not_in_the_model(engine: Engine) -> None:
    assert refused(lambda: engine.list_objects("user:ann", "viewer", "thing")) is Code.TYPE_NOT_FOUND
    assert refused(lambda: engine.list_objects("user:ann", "none", "document")) is Code.RELATION_NOT_FOUND
    assert refused(lambda: engine.list_users("thing:1", "viewer", "user")) is Code.TYPE_NOT_FOUND
    assert refused(lambda: engine.list_users("document:1", "none", "user")) is Code.RELATION_NOT_FOUND
    assert refused(lambda: engine.list_users("document:1", "viewer", "thing")) is Code.TYPE_NOT_FOUND
    assert refused(lambda: engine.list_users("document:1", "viewer", "group#none")) is Code.RELATION_NOT_FOUND


def test_refuses_what_is_given_and_not_allowed(engine: Engine) -> None:
    given = [t("document:1#owner@group:eng#member")]
    assert refused(lambda: engine.check("user:ann", "viewer", "document:1", given=given)) is Code.INVALID_TUPLE
    assert refused(lambda: engine.list_objects("user:ann", "viewer", "document", given=given)) is Code.INVALID_TUPLE


def test_refuses_more_tuples_in_a_row_than_anybody_means(engine: Engine) -> None:
    engine.write([t(f"folder:{number}#parent@folder:{number + 1}") for number in range(30)])
    engine.write([t("folder:30#viewer@user:ann")])
    assert refused(lambda: engine.check("user:ann", "viewer", "folder:0")) is Code.TOO_COMPLEX
