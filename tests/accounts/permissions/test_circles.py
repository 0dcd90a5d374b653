"""Where a `but not` leads back to itself: a game, in which whoever moves to a lost position wins (van Gelder's own
example), and crowds in which everything leads to everything."""

from __future__ import annotations

from collections.abc import Mapping, Set

import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.permissions.engine import Engine, save_model
from accounts.permissions.language import parse
from accounts.permissions.models import PermissionStore
from accounts.permissions.tuples import Object, Subject, Tuple
from core.ids import new_id

pytestmark = pytest.mark.django_db

GAME = parse("""model
  schema 1.1

type user

type position
  relations
    define next: [position]
    define player: [user]
    define wins: [user] or loses from next
    define loses: player but not wins
""")


def game(moves: Mapping[int, Set[int]]) -> Engine:
    engine = save_model(PermissionStore.objects.create(name=f"game {new_id()}"), GAME)
    rows = [("user:ann", "player", f"position:{place}") for place in moves]
    rows += [(f"position:{end}", "next", f"position:{start}") for start, ends in moves.items() for end in ends]
    engine.write([Tuple(Object.parse(target), relation, Subject.parse(user)) for user, relation, target in rows])
    return engine


def won_and_lost(moves: Mapping[int, Set[int]]) -> tuple[set[int], set[int]]:
    """Counted back from the positions without a move; the others are draws."""
    won: set[int] = set()
    lost: set[int] = set()
    while True:
        before = len(won) + len(lost)
        won |= {start for start, ends in moves.items() if ends & lost}
        lost |= {start for start, ends in moves.items() if ends <= won}
        if len(won) + len(lost) == before:
            return won, lost


boards = st.dictionaries(st.integers(1, 8), st.sets(st.integers(1, 8), max_size=4), min_size=1).map(
    lambda moves: {start: {end for end in ends if end in moves} for start, ends in moves.items()}
)


@settings(max_examples=60)
@given(boards)
def test_wins_what_can_be_won_and_a_draw_is_neither(moves: dict[int, set[int]]) -> None:
    won, lost = won_and_lost(moves)
    with transaction.atomic():
        engine = game(moves)
        for relation, expected in (("wins", won), ("loses", lost)):
            asked = [("user:ann", relation, f"position:{place}") for place in moves]
            assert dict(zip(moves, engine.check_many(asked), strict=True)) == {one: one in expected for one in moves}
            names = sorted(f"position:{place}" for place in expected)
            assert engine.list_objects("user:ann", relation, "position") == names
        transaction.set_rollback(True)


TREE = parse("""model
  schema 1.1

type user

type group
  relations
    define member: [user, group#member] but not barred
    define barred: [user]

type folder
  relations
    define parent: [folder]
    define blocked: [user, group#member]
    define viewer: ([user, user:*, group#member] or viewer from parent) but not blocked
    define editor: viewer and (writer or editor from parent)
    define writer: [user]
""")
names = st.sampled_from(["ann", "bob", "cay"])
folders = st.sampled_from(["1", "2", "3", "4"])
groups = st.sampled_from(["a", "b"])
rows = st.one_of(
    st.builds(Tuple, st.builds(Object, st.just("folder"), folders), relation, subject)
    for relation, subject in [
        (st.sampled_from(["blocked", "viewer", "writer"]), st.builds(Subject, st.just("user"), names)),
        (st.just("viewer"), st.just(Subject("user", "*"))),
        (st.sampled_from(["blocked", "viewer"]), st.builds(Subject, st.just("group"), groups, st.just("member"))),
        (st.just("parent"), st.builds(Subject, st.just("folder"), folders)),
    ]
) | st.builds(
    Tuple,
    st.builds(Object, st.just("group"), groups),
    st.sampled_from(["member", "barred"]),
    st.builds(Subject, st.just("user"), names),
)


@settings(max_examples=60)
@given(st.lists(rows, max_size=20))
def test_lists_what_it_checks_where_folders_inherit_with_exceptions(written: list[Tuple]) -> None:
    users = [f"user:{name}" for name in ("ann", "bob", "cay", "somebody")]
    with transaction.atomic():
        engine = save_model(PermissionStore.objects.create(name=f"tree {new_id()}"), TREE)
        assert engine.program.circles([engine.program.relations["folder", "editor"]])
        engine.write(list({one.key: one for one in written}.values()))
        for relation in ("viewer", "editor"):
            asked = [(user, relation, f"folder:{number}") for user in users for number in "1234"]
            allowed = {one for one, answer in zip(asked, engine.check_many(asked), strict=True) if answer is True}
            for user in users:
                found = [target for who, _, target in asked if who == user and (who, relation, target) in allowed]
                assert engine.list_objects(user, relation, "folder") == found
            for number in "1234":
                target = f"folder:{number}"
                listed = set(engine.list_users(target, relation, "user"))
                holders = {user for user in users if (user, relation, target) in allowed}
                assert listed - {"user:*"} <= holders
                assert holders <= listed or "user:*" in listed
                assert ("user:somebody" in holders) == ("user:*" in listed)
        transaction.set_rollback(True)


def test_comes_to_an_end_where_everything_leads_to_everything() -> None:
    crowd = range(30)
    engine = game({place: set(crowd) - {place} for place in crowd})
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '30s'")  # one path after the other would take for ever
    assert not engine.check("user:ann", "wins", "position:0")
    assert not engine.check("user:ann", "loses", "position:0")
    moves = [Tuple(Object("position", "0"), "next", Subject("position", str(end))) for end in crowd if end]
    engine.delete(moves)  # who is there has none left
    assert engine.check("user:ann", "loses", "position:0")
    assert engine.check("user:ann", "wins", "position:1")


def test_lists_whom_only_an_exception_of_an_exception_names() -> None:
    """Who may enter a floor is kept out of the second one above it; of the lowest only Cay is."""
    floors = parse("""model
  schema 1.1
type user
type floor
  relations
    define below: [floor]
    define kept_out: [user] or enters from below
    define enters: [user:*] but not kept_out from below
""")
    engine = save_model(PermissionStore.objects.create(name=f"floors {new_id()}"), floors)
    rows = [("user:*", "enters", f"floor:{number}") for number in range(4)]
    rows += [(f"floor:{number}", "below", f"floor:{number + 1}") for number in range(3)]
    rows.append(("user:cay", "kept_out", "floor:0"))
    engine.write([Tuple(Object.parse(target), relation, Subject.parse(user)) for user, relation, target in rows])
    told = [engine.list_users(f"floor:{number}", "enters", "user") for number in range(4)]
    assert told == [["user:*"], ["user:*"], [], ["user:cay"]]
    assert [engine.check("user:cay", "enters", f"floor:{number}") for number in range(4)] == [True, False, False, True]
    assert engine.page_of_users("floor:3", "enters", "user").items == ("user:cay",)
