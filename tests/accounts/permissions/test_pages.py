"""Pages of lists: put together they are the list, whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.permissions.engine import Engine, save_model
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import parse
from accounts.permissions.models import PermissionStore
from accounts.permissions.pages import Page
from accounts.permissions.tuples import Tuple
from core.ids import new_id

pytestmark = pytest.mark.django_db

MODEL = parse("""model
  schema 1.1

type user

type group
  relations
    define member: [user, group#member]

type folder
  relations
    define parent: [folder]
    define viewer: [user, user:*, group#member] or viewer from parent

type document
  relations
    define parent: [folder]
    define banned: [user, group#member]
    define friend: [user]
    define viewer: [user, user:*, group#member, user with in_hours] or viewer from parent
    define reader: viewer but not banned
    define close: reader and friend

condition in_hours(hour: int) {
  hour < 18
}
""")
RELATIONS = ("viewer", "reader", "close")


def tuple_of(text: str) -> Tuple:
    target, _, rest = text.partition("#")
    relation, _, subject = rest.partition("@")
    return Tuple.parse({"object": target, "relation": relation, "user": subject})


def rows() -> list[str]:
    found = ["group:all#member@group:eng#member", "group:eng#member@user:ann", "group:all#member@user:bob"]
    found += [f"folder:{number}#parent@folder:{number // 2}" for number in range(1, 12)]
    found += ["folder:2#viewer@group:all#member", "folder:3#viewer@user:ann", "folder:9#viewer@user:*"]
    for number in range(40):
        name = f"document:{number}"
        found.append(f"{name}#parent@folder:{number % 12}")
        found += [f"{name}#viewer@user:ann"] * (number % 3 == 0) + [f"{name}#viewer@user:*"] * (number % 7 == 0)
        found += [f"{name}#banned@user:ann"] * (number % 5 == 0) + [f"{name}#banned@group:eng#member"] * (number == 9)
        found += [f"{name}#friend@user:ann"] * (number % 2 == 0)
    found += [f"document:0#viewer@user:u{number}" for number in range(30)]
    found += [f"group:eng#member@user:u{number}" for number in range(20, 50)]
    found += [f"document:0#banned@user:u{number}" for number in range(0, 50, 4)]
    return found


@pytest.fixture
def engine() -> Engine:
    engine = save_model(PermissionStore.objects.create(name=f"pages {new_id()}"), MODEL)
    engine.write([tuple_of(row) for row in rows()])
    return engine


def joined(ask: Callable[..., Page], limit: int) -> list[str]:
    """All pages, one behind the other."""
    found: list[str] = []
    after = None
    while True:
        page = ask(limit=limit, after=after)
        found += page.items
        assert len(page.items) == limit or page.is_complete
        assert (page.next is None) == page.is_complete
        if page.is_complete:
            return found
        after = page.next


GIVEN = [
    tuple_of("document:99#viewer@user:ann"),
    tuple_of("document:3#viewer@user:ann"),
    tuple_of("group:z#member@user:bob"),
]


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
@pytest.mark.parametrize("given", [(), GIVEN], ids=["stored", "given"])
def test_makes_the_list_of_objects_from_pages(engine: Engine, limit: int, given: Any) -> None:
    subjects = ("user:ann", "user:bob", "user:u21", "user:*", "group:eng#member", "group:all#member")
    for subject in subjects:
        for of_type, relations in (("document", RELATIONS), ("folder", ("viewer",)), ("group", ("member",))):
            for relation in relations:
                wanted = engine.list_objects(subject, relation, of_type, given, {"hour": 9})
                question = (subject, relation, of_type)

                def ask(question: Any = question, **rest: Any) -> Page:
                    return engine.page_of_objects(*question, given=given, context={"hour": 9}, **rest)

                assert joined(ask, limit) == wanted, question


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
@pytest.mark.parametrize("given", [(), GIVEN], ids=["stored", "given"])
def test_makes_the_list_of_users_from_pages(engine: Engine, limit: int, given: Any) -> None:
    for target in ("document:0", "document:9", "document:4", "document:99"):
        for relation in RELATIONS:
            for kind in ("user", "group#member"):
                wanted = engine.list_users(target, relation, kind, given, {"hour": 9})
                question = (target, relation, kind)

                def ask(question: Any = question, **rest: Any) -> Page:
                    return engine.page_of_users(*question, given=given, context={"hour": 9}, **rest)

                assert joined(ask, limit) == wanted, question


def test_says_where_the_next_page_begins(engine: Engine) -> None:
    first = engine.page_of_objects("user:bob", "viewer", "document", limit=2)
    assert first == Page(("document:0", "document:10"), "10", is_complete=False)
    assert engine.page_of_objects("user:bob", "viewer", "document", limit=1, after="10").items == ("document:11",)
    assert engine.page_of_objects("user:bob", "viewer", "document", limit=1, after="document:10").items == (
        "document:11",
    )
    assert engine.page_of_objects("user:bob", "viewer", "document", after="~") == Page((), None, is_complete=True)
    users = engine.page_of_users("document:0", "viewer", "user", limit=1)
    assert users == Page(("user:*",), "*", is_complete=False)


def test_ends_at_the_last_item_without_an_empty_page(engine: Engine) -> None:
    whole = engine.list_objects("user:bob", "viewer", "document")
    assert engine.page_of_objects("user:bob", "viewer", "document", limit=len(whole)).is_complete
    assert not engine.page_of_objects("user:bob", "viewer", "document", limit=len(whole) - 1).is_complete


@pytest.mark.parametrize("relation", RELATIONS)
def test_neither_repeats_nor_loses_what_was_there_all_the_time(engine: Engine, relation: str) -> None:
    before = set(engine.list_objects("user:ann", relation, "document"))
    seen: list[str] = []
    after, number = None, 0
    while True:
        page = engine.page_of_objects("user:ann", relation, "document", limit=3, after=after)
        seen += page.items
        number += 1  # one is written before and one behind the place of the cursor, and one that was seen goes
        new = [f"document:{mark}{number}#{one}@user:ann" for mark in ("0", "~") for one in ("viewer", "friend")]
        engine.write([tuple_of(row) for row in new] if number < 6 else [])
        engine.delete([tuple_of(f"{page.items[0]}#viewer@user:ann")] if page.items else [])
        if page.is_complete:
            break
        after = page.next
    assert len(seen) == len(set(seen))
    assert before <= set(seen)
    assert any("~" in name for name in seen)


def test_takes_one_round_trip(engine: Engine, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        engine.page_of_objects("user:ann", "viewer", "folder")
    with django_assert_num_queries(2):  # conditions on the way
        engine.page_of_objects("user:ann", "reader", "document")
    with django_assert_num_queries(0):  # the model does not let it
        assert engine.page_of_objects("folder:1", "viewer", "document") == Page((), None, is_complete=True)
    with django_assert_num_queries(1):
        engine.page_of_users("folder:3", "viewer", "user")


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_refuses_a_page_of_none_and_of_too_many(engine: Engine, limit: int) -> None:
    for ask in (engine.page_of_objects, engine.page_of_users):
        with pytest.raises(Refused) as refused:
            ask("user:ann", "viewer", "document", limit=limit)
        assert refused.value.code is Code.VALIDATION


def test_refuses_a_page_that_hangs_on_a_missing_parameter(engine: Engine) -> None:
    condition = {"condition": {"name": "in_hours"}}
    engine.write([Tuple.parse({"object": "document:zz", "relation": "viewer", "user": "user:dan"} | condition)])
    assert engine.page_of_objects("user:dan", "viewer", "document", limit=1).items  # it is not on this page
    with pytest.raises(Refused):
        engine.page_of_objects("user:dan", "viewer", "document")
    assert engine.page_of_objects("user:dan", "viewer", "document", context={"hour": 9}).items[-1] == "document:zz"
    with pytest.raises(Refused):
        engine.page_of_users("document:zz", "viewer", "user")


def test_lists_by_many_relations_in_one_round_trip(engine: Engine, django_assert_num_queries: Any) -> None:
    folders, documents = ("folder", "viewer"), [("document", relation) for relation in RELATIONS]
    with django_assert_num_queries(1):
        found = engine.objects_by_relation("user:ann", [folders])
    assert found == {folders: engine.list_objects("user:ann", "viewer", "folder")}
    for given in ((), GIVEN):
        with django_assert_num_queries(2):
            found = engine.objects_by_relation("user:ann", [*documents, folders], given, {"hour": 9})
        for of_type, relation in (*documents, folders):
            expected = engine.list_objects("user:ann", relation, of_type, given, {"hour": 9})
            assert found[of_type, relation] == expected
            assert expected
    assert engine.objects_by_relation("folder:1", documents) == {pair: [] for pair in documents}
    with pytest.raises(Refused) as refused:
        engine.objects_by_relation("user:ann", [folders, ("document", "painter")])
    assert refused.value.code is Code.RELATION_NOT_FOUND


def test_finds_what_an_operator_further_on_leads_to() -> None:
    """`close` reads what `near` leaves twice: of the object itself, and of its parent, over a tuple."""
    model = parse("""model
  schema 1.1

type user

type place
  relations
    define up: [place]
    define banned: [user]
    define near: [user:*] but not banned
    define close: near or near from up
""")
    engine = save_model(PermissionStore.objects.create(name=f"operators {new_id()}"), model)
    engine.write([tuple_of(row) for row in ("place:3#near@user:*", "place:2#up@place:3", "place:1#banned@user:bob")])
    assert engine.page_of_objects("user:bob", "close", "place").items == ("place:2", "place:3")
    assert engine.list_objects("user:bob", "close", "place") == ["place:2", "place:3"]
