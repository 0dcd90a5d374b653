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
