"""The change log gives out every change once, in an order that nothing is put into later."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from accounts.permissions import changes
from accounts.permissions.engine import Engine, save_model
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import parse
from accounts.permissions.models import PermissionStore, RelationChange
from accounts.permissions.tuples import Tuple
from core.ids import new_id

pytestmark = pytest.mark.django_db(transaction=True)

MODEL = parse("""model
  schema 1.1
type user
type team
  relations
    define member: [user, user with soon]
type project
  relations
    define viewer: [user]
condition soon(day: int) {
  day < 7
}
""")


@pytest.fixture
def engine() -> Engine:
    return save_model(PermissionStore.objects.create(name=f"changes {new_id()}"), MODEL)


def one(user: str, relation: str = "viewer", target: str = "project:1", **condition: Any) -> Tuple:
    key = {"user": f"user:{user}", "relation": relation, "object": target}
    return Tuple.parse(key | ({"condition": {"name": "soon", "context": condition}} if condition else {}))


def names(page: changes.Changes) -> list[str]:
    return [f"{change.operation} {change.tuple.subject.id}" for change in page.items]


def test_gives_out_changes_in_order_page_by_page(engine: Engine) -> None:
    engine.write([one("ann"), one("bob")])
    engine.delete([one("ann")])
    first = changes.read(engine.store_id, limit=2)
    assert (names(first), first.is_complete) == (["write ann", "write bob"], False)
    second = changes.read(engine.store_id, limit=2, after=first.next)
    assert (names(second), second.is_complete) == (["delete ann"], True)
    nothing = changes.read(engine.store_id, after=second.next)
    assert (nothing.items, nothing.is_complete, nothing.next) == ((), True, second.next)
    engine.write([one("cay")])
    assert names(changes.read(engine.store_id, after=nothing.next)) == ["write cay"]


def test_gives_out_what_was_written(engine: Engine) -> None:
    engine.write([one("ann", "member", "team:1", day=3)])
    (change,) = changes.read(engine.store_id).items
    assert change.tuple == one("ann", "member", "team:1", day=3)
    assert change.created_at == RelationChange.objects.get().created_at


def test_gives_out_one_type_or_what_is_new_alone(engine: Engine) -> None:
    engine.write([one("ann"), one("bob", "member", "team:1")])
    assert names(changes.read(engine.store_id, of_type="team")) == ["write bob"]
    later = RelationChange.objects.latest("created_at").created_at + timedelta(microseconds=1)
    assert changes.read(engine.store_id, start_time=later).items == ()
    engine.write([one("cay")])
    assert names(changes.read(engine.store_id, start_time=later)) == ["write cay"]


def test_keeps_stores_apart(engine: Engine) -> None:
    engine.write([one("ann")])
    assert changes.read(engine.store_id + 1) == changes.Changes((), None, is_complete=True)


@pytest.mark.parametrize("cursor", ["", "?", "MS4", "OTk5OTk5OTk5OTk5OTk5OTk5OS4x", "ä", "MS4xLjE"])
def test_refuses_a_cursor_of_somebody_else(engine: Engine, cursor: str) -> None:
    with pytest.raises(Refused) as refused:
        changes.read(engine.store_id, after=cursor)
    assert refused.value.code == Code.INVALID_CURSOR


@pytest.fixture
def other() -> Iterator[Any]:
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None, "context": None}) as found:
        yield found


def test_waits_with_what_committed_first_for_a_transaction_that_began_before(engine: Engine, other: Any) -> None:
    """The other connection's change has the lower number and commits last: who had gone on would miss it."""
    row = "INSERT INTO accounts_relationchange (store_id, operation, object_type, object_id, relation, subject_type, "
    row += (
        "subject_id, subject_relation, condition, created_at) VALUES (%s, 'write', 'project', '1', 'viewer', 'user', "
    )
    row += "%s, '', '', now())"
    other.execute(row, [engine.store_id, "early"])
    engine.write([one("late")])
    page = changes.read(engine.store_id)
    assert (page.items, page.next) == ((), None)
    other.execute(row, [engine.store_id, "early too"])
    other.commit()
    assert names(changes.read(engine.store_id)) == ["write early", "write early too", "write late"]


def test_does_not_show_a_transaction_its_own_changes(engine: Engine) -> None:
    with transaction.atomic():
        engine.write([one("ann")])
        assert changes.read(engine.store_id).items == ()
    assert names(changes.read(engine.store_id)) == ["write ann"]


def test_misses_nothing_while_six_write_at_once(engine: Engine) -> None:
    """Writers with transactions of several statements commit in any order; a follower reads on meanwhile."""

    def work(number: int) -> None:
        chance = random.Random(number)
        try:
            for step in range(20):
                with transaction.atomic():
                    for part in range(chance.randint(1, 3)):
                        engine.write([one(f"{number}.{step}.{part}")])
                    transaction.set_rollback(chance.random() < 0.2)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    cursor = None
    while True:
        is_over = not any(thread.is_alive() for thread in threads)
        page = changes.read(engine.store_id, after=cursor, limit=7)
        seen += names(page)
        cursor = page.next
        if is_over and page.is_complete:
            break
    assert len(seen) == len(set(seen)) > 100
    assert sorted(seen) == sorted(
        f"write {name}" for name in RelationChange.objects.values_list("subject_id", flat=True)
    )
