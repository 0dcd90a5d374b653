"""Kept answers are what the engine would answer now, in this process at once and in others within a second."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from accounts.permissions import cache, revision
from accounts.permissions.engine import Engine, save_model
from accounts.permissions.faults import Refused
from accounts.permissions.language import parse
from accounts.permissions.models import PermissionStore
from accounts.permissions.tuples import Tuple
from core import redis
from core.ids import new_id

pytestmark = pytest.mark.django_db(transaction=True)

MODEL = parse("""model
  schema 1.1
type user
type team
  relations
    define member: [user]
type project
  relations
    define viewer: [user, team#member]
    define guest: [user with early]
condition early(hour: int) {
  hour < 12
}
""")

RECHECK_SECONDS = revision.RECHECK_SECONDS  # as it is, before tests stop the time
ASKED = ("user:ann", "viewer", "project:1")


def one(user: str, relation: str = "viewer", target: str = "project:1", condition: str = "") -> Tuple:
    key: dict[str, Any] = {"user": user, "relation": relation, "object": target}
    return Tuple.parse(key | ({"condition": {"name": condition}} if condition else {}))


ANN, BOB = one("user:ann"), one("user:bob")


@pytest.fixture
def engine() -> Engine:
    return save_model(PermissionStore.objects.create(name=f"cache {new_id()}"), MODEL)


@pytest.fixture
def is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known stays known, so that only a commit or a message makes the statement due."""
    monkeypatch.setattr(revision, "RECHECK_SECONDS", 1e9)


class _Elsewhere:
    """Another process that writes: a connection of its own, nothing of ours."""

    def __init__(self, link: Any) -> None:
        self.link = link

    def write(self, engine: Engine, user: str) -> None:
        key = "'project', '1', 'viewer', 'user', %(user)s, '', '', now()"
        columns = "object_type, object_id, relation, subject_type, subject_id, subject_relation, condition, created_at"
        asked = {"store": engine.store_id, "user": user}
        self.link.execute(f"INSERT INTO accounts_relationtuple (store_id, {columns}) VALUES (%(store)s, {key})", asked)
        self.link.execute(
            f"INSERT INTO accounts_relationchange (store_id, operation, {columns}) VALUES (%(store)s, 'write', {key})",
            asked,
        )


@pytest.fixture
def elsewhere() -> Iterator[_Elsewhere]:
    parameters = connection.get_connection_params() | {"cursor_factory": None, "context": None}
    with psycopg.connect(**parameters) as found:
        yield _Elsewhere(found)


def ask(engine: Engine, **rest: Any) -> bool:
    return cache.checked(engine, *ASKED, **rest)


# what is kept


def test_asks_once(engine: Engine, django_assert_num_queries: Any, is_long: None) -> None:
    engine.write([ANN])
    with django_assert_num_queries(2):  # what changed, and the question
        assert ask(engine)
    with django_assert_num_queries(1):
        assert not cache.checked(engine, "user:bob", "viewer", "project:1")
    with django_assert_num_queries(0):
        assert ask(engine)
        assert not cache.checked(engine, "user:bob", "viewer", "project:1")


def test_asks_many_for_what_is_not_kept_in_one_round_trip(
    engine: Engine, django_assert_num_queries: Any, is_long: None
) -> None:
    engine.write([ANN])
    assert ask(engine)
    asked = [
        ASKED,
        ("user:bob", "viewer", "project:1"),
        ("user:ann", "none", "project:1"),
        ("user:ann", "guest", "project:1"),
    ]
    with django_assert_num_queries(2):  # the question, and which conditions can be met
        found = cache.checked_many(engine, asked)
    assert found[:2] == [True, False]
    assert isinstance(found[2], Refused)
    assert found[3] is False
    with django_assert_num_queries(0):
        again = cache.checked_many(engine, [asked[0], asked[1], asked[3]])
    assert again == [True, False, False]


def test_keeps_lists_unless_they_are_long(
    engine: Engine, django_assert_num_queries: Any, is_long: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.write([one("user:ann", target=f"project:{number}") for number in range(3)])
    three = tuple(f"project:{number}" for number in range(3))
    assert cache.objects(engine, "user:ann", "viewer", "project") == three
    with django_assert_num_queries(0):
        assert cache.objects(engine, "user:ann", "viewer", "project") == three
    with django_assert_num_queries(2):  # guests alone, whom a condition can keep out
        found = cache.objects_by_relation(engine, "user:ann", [("project", "viewer"), ("project", "guest")])
    assert found == {("project", "viewer"): three, ("project", "guest"): ()}
    monkeypatch.setattr(cache, "LONGEST_LIST", 2)
    engine.write([one("user:bob", target=f"project:{number}") for number in range(3)])
    assert len(cache.objects(engine, "user:bob", "viewer", "project")) == 3
    with django_assert_num_queries(1):
        assert len(cache.objects(engine, "user:bob", "viewer", "project")) == 3


def test_tells_apart_what_the_answer_follows_from(engine: Engine, is_long: None) -> None:
    newer = save_model(PermissionStore.objects.get(pk=engine.store_id), parse("model\n  schema 1.1\ntype user\n"))
    other = save_model(PermissionStore.objects.create(name="other"), MODEL)
    engine.write([ANN, one("user:cay", "guest", condition="early")])
    assert ask(engine)
    assert not ask(other)
    with pytest.raises(Refused):
        ask(newer)
    assert not cache.checked(engine, "user:bob", "viewer", "project:1")
    assert cache.checked(engine, "user:bob", "viewer", "project:1", [BOB])
    assert cache.checked(
        engine, "user:bob", "viewer", "project:1", ({"user": "user:bob", "relation": "viewer", "object": "project:1"},)
    )
    guest = ("user:cay", "guest", "project:1")
    for _ in range(2):
        assert cache.checked(engine, *guest, context={"hour": 9})
        assert not cache.checked(engine, *guest, context={"hour": 13})
        with pytest.raises(Refused):  # never kept
            cache.checked(engine, *guest)
        with pytest.raises(Refused):
            cache.checked(engine, *guest, context={"hour": True})
        with pytest.raises(Refused):
            cache.checked(engine, *guest, context={"hour": datetime(2026, 1, 1, tzinfo=UTC)})


def test_leaves_out_a_context_that_no_condition_reads(
    engine: Engine, django_assert_num_queries: Any, is_long: None
) -> None:
    engine.write([ANN])
    assert ask(engine, context={"hour": 1})
    with django_assert_num_queries(0):
        assert ask(engine, context={"hour": 2})
    assert ask(engine, context={"at": datetime.now(UTC)})


def test_keeps_no_more_than_it_may(engine: Engine, is_long: None, settings: Any) -> None:
    settings.PERMISSION_CACHE_ENTRIES = 20
    for number in range(100):
        assert not cache.checked(engine, f"user:{number}", "viewer", "project:1")
        assert not ask(engine)  # what is asked again and again stays
        assert len(cache._kept) <= 20
    engine.write([one("user:ann", target=f"project:{number}") for number in range(9)])
    for number in range(9):  # a list counts by its length
        cache.objects(engine, "user:ann", "viewer", "project", [one(f"user:{number}")])
    assert len(cache._kept) <= 4


def test_keeps_nothing_when_told_so(engine: Engine, settings: Any) -> None:
    settings.PERMISSION_CACHE_ENTRIES = 0
    assert not ask(engine)
    assert len(cache._kept) == 0


# changes in this process


def test_shows_a_change_with_its_commit(engine: Engine, is_long: None) -> None:
    assert not ask(engine)
    engine.write([ANN])
    assert ask(engine)
    assert cache.objects(engine, "user:ann", "viewer", "project") == ("project:1",)
    engine.delete([ANN])
    assert not ask(engine)
    assert cache.objects(engine, "user:ann", "viewer", "project") == ()


def test_shows_a_transaction_what_it_wrote_and_nobody_else(engine: Engine, is_long: None) -> None:
    found: list[bool] = []

    def look() -> None:
        found.append(ask(engine))
        connection.close()

    assert not ask(engine)
    with transaction.atomic():
        engine.write([ANN])
        assert ask(engine)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert found == [False]
        transaction.set_rollback(True)
    assert not ask(engine)


def test_forgets_what_a_savepoint_saw_that_was_taken_back(engine: Engine, is_long: None) -> None:
    with transaction.atomic():
        assert not ask(engine)
        with transaction.atomic():
            engine.write([ANN])
            assert ask(engine)
            transaction.set_rollback(True)
        assert not ask(engine)
        assert not revision.is_written()
        with transaction.atomic():
            engine.write([BOB])
        assert revision.is_written()
        assert cache.checked(engine, "user:bob", "viewer", "project:1")
    assert cache.checked(engine, "user:bob", "viewer", "project:1")
    assert not ask(engine)


def test_shows_hooks_of_the_commit_what_was_committed(engine: Engine, is_long: None) -> None:
    found: list[bool] = []
    assert not ask(engine)
    with transaction.atomic():
        transaction.on_commit(lambda: found.append(ask(engine)))
        engine.write([ANN])
    assert found == [True]


def test_does_not_keep_an_answer_that_a_change_overtook(
    engine: Engine, is_long: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question is answered, then the change commits, then the answer is kept."""
    original, is_first = Engine.check, True

    def slow(self: Engine, *rest: Any) -> bool:
        nonlocal is_first
        answer = original(self, *rest)
        if is_first:
            is_first = False
            engine.write([ANN])
        return answer

    monkeypatch.setattr(Engine, "check", slow)
    assert not ask(engine)
    assert ask(engine)


def test_finds_out_by_itself_when_the_answer_to_its_commit_was_lost(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction committed, and this process was not told: no hook ran. Its own number was taken before."""
    monkeypatch.setattr(revision, "RECHECK_SECONDS", 0.2)
    with transaction.atomic():
        connection.cursor().execute("SELECT pg_current_xact_id()")
        assert not ask(engine)
        with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None, "context": None}) as link:
            link.execute("SELECT pg_current_xact_id()")  # a later transaction ends first
        time.sleep(0.25)
        assert not ask(engine)
        engine.write([ANN])
        connection.run_on_commit = []
    time.sleep(0.25)
    assert ask(engine)


# changes of others


def test_sees_the_change_of_another_process_within_a_second(
    engine: Engine, elsewhere: _Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revision, "RECHECK_SECONDS", RECHECK_SECONDS)
    assert not ask(engine)
    elsewhere.write(engine, "ann")
    assert not ask(engine)
    elsewhere.link.commit()
    assert RECHECK_SECONDS < 1
    time.sleep(RECHECK_SECONDS)
    assert ask(engine)


def test_sees_a_change_that_was_open_for_long(
    engine: Engine, elsewhere: _Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a lower number than changes that were seen long before it commits."""
    monkeypatch.setattr(revision, "RECHECK_SECONDS", 0.0)
    elsewhere.write(engine, "ann")
    for user in ("user:bob", "user:cay"):
        engine.write([one(user)])
        assert cache.checked(engine, user, "viewer", "project:1")
        assert not ask(engine)
    before = revision.generation(engine.store_id)
    assert revision.generation(engine.store_id) == before
    elsewhere.link.commit()
    assert ask(engine)


def test_notices_what_is_written_outside_of_a_transaction(engine: Engine, elsewhere: _Elsewhere) -> None:
    """A trigger wrote a tuple with a row that was saved by itself."""
    assert not ask(engine)
    elsewhere.write(engine, "ann")
    elsewhere.link.commit()
    revision.written()
    assert not revision.is_written()
    assert ask(engine)


def test_hears_of_a_change_at_once_where_redis_is_up(engine: Engine, elsewhere: _Elsewhere, is_long: None) -> None:
    epoch = lambda: redis.ask(lambda server: server.get(revision.EPOCH))  # noqa: E731
    revision.heard(epoch())
    assert not ask(engine)
    elsewhere.write(engine, "ann")
    elsewhere.link.commit()
    revision.heard(epoch())
    assert not ask(engine)  # nobody said anything
    redis.ask(lambda server: server.incr(revision.EPOCH))
    revision.heard(epoch())
    assert ask(engine)


def test_tells_the_others_after_a_commit(engine: Engine) -> None:
    before = redis.ask(lambda server: server.get(revision.EPOCH))
    with transaction.atomic():
        engine.write([ANN])
        assert redis.ask(lambda server: server.get(revision.EPOCH)) == before
    assert redis.ask(lambda server: server.get(revision.EPOCH)) != before


def test_goes_on_without_redis(engine: Engine, is_long: None, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    try:
        assert not ask(engine)
        engine.write([ANN])
        assert ask(engine)
    finally:
        redis.gate.reopen()


def test_forgets_what_another_server_said(engine: Engine, is_long: None) -> None:
    before = revision.generation(engine.store_id)
    seen = revision._known.stores[engine.store_id]
    from dataclasses import replace

    revision._known.stores[engine.store_id] = replace(seen, server="2020-01-01")
    revision.heard(b"due")
    assert revision.generation(engine.store_id) > before


# models


def test_knows_the_newest_model(engine: Engine, django_assert_num_queries: Any, is_long: None) -> None:
    store = PermissionStore.objects.get(pk=engine.store_id)
    assert revision.newest_model_id(store.name) == engine.model_id
    with django_assert_num_queries(0):
        assert revision.newest_model_id(store.name) == engine.model_id
    with transaction.atomic():
        newer = save_model(store, MODEL)
        assert revision.newest_model_id(store.name) == newer.model_id
        transaction.set_rollback(True)
    assert revision.newest_model_id(store.name) == engine.model_id
    newer = save_model(store, MODEL)
    assert revision.newest_model_id(store.name) == newer.model_id
    assert revision.newest_model_id("nobody's") is None


def test_knows_a_store_that_was_made_anew(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "RECHECK_SECONDS", 0.0)
    store = PermissionStore.objects.get(pk=engine.store_id)
    assert revision.newest_model_id(store.name) == engine.model_id
    name = store.name
    store.delete()
    assert revision.newest_model_id(name) is None
    again = save_model(PermissionStore.objects.create(name=name), MODEL)
    assert revision.newest_model_id(name) == again.model_id


# processes and threads


def test_begins_anew_in_a_process_that_was_forked(engine: Engine) -> None:
    ask(engine)
    child = os.fork()
    if child == 0:
        os._exit(0 if not revision._known.stores and len(cache._kept) == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(cache._kept) == 1


def test_is_never_older_than_the_last_commit_of_its_process(engine: Engine) -> None:
    """Six threads look while two write: what was committed before the question began is in its answer."""
    stop, faults, done = threading.Event(), [], {"ann": False, "bob": False}

    def write(user: str) -> None:
        for turn in range(40):
            (engine.write if turn % 2 == 0 else engine.delete)([one(f"user:{user}")])
            done[user] = turn % 2 == 0
            while cache.checked(engine, f"user:{user}", "viewer", "project:1") != done[user]:
                faults.append(f"{user} {turn}")
                return
        connection.close()

    def look() -> None:
        while not stop.is_set():
            cache.checked(engine, "user:ann", "viewer", "project:1")
            cache.checked(engine, "user:bob", "viewer", "project:1")
        connection.close()

    readers = [threading.Thread(target=look) for _ in range(4)]
    writers = [threading.Thread(target=write, args=(user,)) for user in done]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert faults == []


def test_answers_a_kept_question_without_asking_anybody(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    engine.write([ANN])
    given = (one("user:ann", "member", "team:1"),)
    assert cache.checked(engine, *ASKED, given)
    monkeypatch.setattr(Engine, "check", None)
    monkeypatch.setattr(redis, "ask", None)
    with django_assert_num_queries(0):
        assert all(cache.checked(engine, *ASKED, given) for _ in range(1000))
