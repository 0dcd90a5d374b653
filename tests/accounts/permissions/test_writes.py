"""Tuples are written and deleted as asked, by several at once too, and every change is logged."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.permissions import tuples
from accounts.permissions.engine import Engine, save_model
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import parse
from accounts.permissions.models import PermissionStore, RelationChange, RelationTuple
from accounts.permissions.tuples import Tuple
from accounts.permissions.writes import Outcome
from core.ids import new_id

pytestmark = pytest.mark.django_db

MODEL = parse("""model
  schema 1.1

type user

type team
  relations
    define member: [user, team#member]

type project
  relations
    define organization: [team]
    define viewer: [user, user with in_hours, team#member]
    define editor: [user] or viewer

condition in_hours(hour: int, zone: string) {
  hour < 18 && zone != ""
}
""")


@pytest.fixture
def engine() -> Engine:
    return save_model(PermissionStore.objects.create(name=f"writes {new_id()}"), MODEL)


def viewer(user: str, **condition: Any) -> Tuple:
    key = {"user": user, "relation": "viewer", "object": "project:1"}
    return Tuple.parse(key | ({"condition": {"name": "in_hours", "context": condition}} if condition else {}))


def changes() -> list[str]:
    return [f"{change.operation} {change.subject_id}" for change in RelationChange.objects.order_by("id")]


ANN, BOB = viewer("user:ann"), viewer("user:bob")
ANN_AT_NOON, ANN_AT_ONE = viewer("user:ann", hour=12), viewer("user:ann", hour=13)


# what becomes of each


def test_says_what_became_of_each_in_the_order_of_the_request(engine: Engine) -> None:
    assert engine.write([BOB]) == [Outcome.CREATED]
    assert engine.write([ANN, BOB, ANN]) == [Outcome.CREATED, Outcome.UNCHANGED, Outcome.UNCHANGED]
    assert engine.delete([viewer("user:cay"), ANN, ANN]) == [Outcome.MISSING, Outcome.REMOVED, Outcome.MISSING]
    assert changes() == ["write bob", "write ann", "delete ann"]
    assert engine.list_users("project:1", "viewer", "user") == ["user:bob"]


def test_replaces_a_condition_when_asked_to(engine: Engine) -> None:
    engine.write([ANN, BOB])
    assert engine.write([ANN_AT_NOON, BOB], "replace") == [Outcome.REPLACED, Outcome.UNCHANGED]
    assert engine.write([ANN_AT_NOON], "replace") == [Outcome.UNCHANGED]
    assert engine.write([ANN_AT_ONE], "replace") == [Outcome.REPLACED]
    assert RelationTuple.objects.get(subject_id="ann").context == {"hour": 13}
    assert changes() == ["write ann", "write bob", "write ann", "write ann"]


@pytest.mark.parametrize(
    ("mode", "written", "code"),
    [
        ("error", [BOB, ANN], Code.WRITE_FAILED),
        ("error", [BOB, BOB], Code.DUPLICATE_TUPLES),
        ("ignore", [BOB, ANN_AT_NOON], Code.WRITE_FAILED),
        ("ignore", [ANN_AT_NOON, ANN_AT_ONE], Code.DUPLICATE_TUPLES),
        ("replace", [ANN_AT_NOON, ANN_AT_ONE], Code.DUPLICATE_TUPLES),
    ],
)
def test_refuses_a_duplicate_and_writes_nothing(engine: Engine, mode: Any, written: list[Tuple], code: Code) -> None:
    engine.write([ANN])
    with pytest.raises(Refused) as refused:
        engine.write(written, mode)
    assert refused.value.code == code
    assert changes() == ["write ann"]
    assert RelationTuple.objects.count() == 1


def test_refuses_to_delete_what_is_not_there_and_deletes_nothing(engine: Engine) -> None:
    engine.write([ANN])
    with pytest.raises(Refused) as refused:
        engine.delete([ANN, BOB], "error")
    assert refused.value.code == Code.WRITE_FAILED
    assert engine.check("user:ann", "viewer", "project:1")
    assert changes() == ["write ann"]


def test_deletes_whatever_the_condition(engine: Engine) -> None:
    engine.write([ANN_AT_NOON])
    assert engine.delete([ANN]) == [Outcome.REMOVED]
    assert RelationChange.objects.get(operation="delete").context == {"hour": 12}


def test_takes_an_empty_request(engine: Engine) -> None:
    assert engine.write([]) == []
    assert engine.delete([]) == []


def test_keeps_the_tuples_of_stores_apart(engine: Engine) -> None:
    other = save_model(PermissionStore.objects.create(name=f"other {new_id()}"), MODEL)
    engine.write([ANN])
    assert other.delete([ANN]) == [Outcome.MISSING]
    assert other.write([ANN]) == [Outcome.CREATED]


# what can be written


def test_says_what_is_wrong_with_an_id_of_the_right_form() -> None:
    with pytest.raises(Refused, match=r"type:id#relation, without spaces\."):
        tuples.read(MODEL, {"user": "user:a b", "relation": "viewer", "object": "project:1"})
    with pytest.raises(Refused, match=r"type:id, the id of 256 characters at most\."):
        tuples.read(MODEL, {"user": "user:ann", "relation": "viewer", "object": "project:" + "1" * 257})


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ({"user": "user:ann", "relation": "organization", "object": "project:1"}, "type 'user' is not an allowed type"),
        ({"user": "user:*", "relation": "viewer", "object": "project:1"}, "type 'user:*' is not an allowed type"),
        ({"user": "undefined:1", "relation": "viewer", "object": "project:1"}, "'undefined:1' is no user"),
        ({"user": "null", "relation": "organization", "object": "project:1"}, "'null' is no user"),
        ({"user": "", "relation": "organization", "object": "project:1"}, "'' is no user"),
        ({"user": "[object Object]", "relation": "organization", "object": "project:1"}, "is no user"),
        ({"user": "user:ann", "relation": "viewer", "object": "undefined"}, "'undefined' is no object"),
        ({"user": "user:ann", "relation": "viewer"}, "There is no object"),
        ({"user": "x:ann", "relation": "viewer", "object": "project:1"}, "type 'x' is not an allowed"),
        ({"user": "ann", "relation": "viewer", "object": "project:1"}, ""),
        ({"user": "ann", "relation": "none", "object": "project:1"}, "has no type"),
        ({"user": "user:ann", "relation": "viewer", "object": "x:1"}, "There is no type 'x'"),
        ({"user": "team:1#member", "relation": "member", "object": "team:1"}, "a tuple that is implicit"),
        ("user:ann", "is an object with user"),
    ],
)
def test_refuses_what_the_model_does_not_allow_and_names_what_it_does(engine: Engine, key: Any, words: str) -> None:
    if not words:
        assert str(tuples.read(MODEL, key).subject) == "user:ann"
        return
    with pytest.raises(Refused, match=words.replace("[", r"\[").replace("*", r"\*")) as refused:
        engine.write([tuples.read(MODEL, key)])
    assert refused.value.code == Code.VALIDATION
    assert refused.value.allowed or "implicit" in words or isinstance(key, str)
    assert not RelationTuple.objects.exists()


def test_fills_in_the_type_of_a_subject_when_only_one_fits() -> None:
    one = tuples.read(MODEL, {"user": "acme", "relation": "organization", "object": "project:1"})
    assert str(one.subject) == "team:acme"


@pytest.mark.parametrize("context", [{"minute": 3}, {"hour": "noon"}, {"zone": 5}])
def test_refuses_a_context_that_does_not_fit_its_condition(engine: Engine, context: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"minute|hour|zone"):
        engine.write([viewer("user:ann", **context)])


# transactions


def test_shows_a_write_in_its_own_transaction_and_takes_back_both(engine: Engine) -> None:
    with transaction.atomic():
        engine.write([ANN])
        assert engine.check("user:ann", "viewer", "project:1")
        assert engine.list_objects("user:ann", "viewer", "project") == ["project:1"]
        transaction.set_rollback(True)
    assert not engine.check("user:ann", "viewer", "project:1")
    assert not RelationChange.objects.exists()


def test_writes_and_deletes_in_one_statement(engine: Engine, django_assert_max_num_queries: Any) -> None:
    with transaction.atomic(), django_assert_max_num_queries(6):  # two of them with a savepoint around
        engine.write([ANN, BOB])
        engine.delete([ANN, BOB])


def test_writes_10_000_tuples_in_the_statements_of_ten(engine: Engine) -> None:
    def cost(number: int) -> tuple[int, int]:
        many = [viewer(f"user:{each}") for each in range(number)]
        with CaptureQueriesContext(connection) as writing:
            assert engine.write(many) == [Outcome.CREATED] * number
        with CaptureQueriesContext(connection) as deleting:
            assert engine.delete(many) == [Outcome.REMOVED] * number
        return len(writing), len(deleting)

    cost(1)
    assert cost(10) == cost(10_000)


@pytest.fixture
def committed_engine(transactional_db: None) -> Engine:
    return save_model(PermissionStore.objects.create(name=f"writers {new_id()}"), MODEL)


def at_once(count: int, work: Any) -> list[Any]:
    """What `count` threads come to that begin together, each on a connection of its own."""
    barrier, found = threading.Barrier(count), []

    def run(number: int) -> None:
        try:
            barrier.wait(30)
            found.append(work(number))
        except Exception as error:
            found.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


@pytest.mark.parametrize("mode", ["ignore", "replace"])
def test_lets_eight_write_the_same_200_at_once(committed_engine: Engine, mode: Any) -> None:
    many = [viewer(f"user:{number}") for number in range(200)]

    def work(number: int) -> list[Outcome]:
        found: list[Outcome] = []
        turned = many[number * 25 :] + many[: number * 25]  # each begins elsewhere
        for start in range(0, 200, 50):
            found += committed_engine.write(turned[start : start + 50], mode)
        return found

    found = at_once(8, work)
    assert [one for one in found if isinstance(one, Exception)] == []
    assert sum(outcomes.count(Outcome.CREATED) for outcomes in found) == 200
    assert sum(outcomes.count(Outcome.UNCHANGED) for outcomes in found) == 1400
    assert RelationTuple.objects.count() == RelationChange.objects.count() == 200


def test_lets_eight_delete_the_same_200_at_once(committed_engine: Engine) -> None:
    many = [viewer(f"user:{number}") for number in range(200)]
    committed_engine.write(many)
    found = at_once(8, lambda number: committed_engine.delete(many[number * 25 :] + many[: number * 25]))
    assert [one for one in found if isinstance(one, Exception)] == []
    assert sum(outcomes.count(Outcome.REMOVED) for outcomes in found) == 200
    assert RelationChange.objects.filter(operation="delete").count() == 200
    assert not RelationTuple.objects.exists()


def test_lets_one_of_eight_write_where_a_duplicate_is_an_error(committed_engine: Engine) -> None:
    many = [viewer(f"user:{number}") for number in range(200)]

    def work(number: int) -> list[Any]:
        found: list[Any] = []
        for start in range(0, 200, 50):
            try:
                found.append(committed_engine.write(many[start : start + 50], "error"))
            except Refused as refused:
                found.append(refused.code)
        return found

    found = at_once(8, work)
    assert [one for one in found if isinstance(one, Exception)] == []
    for batch in zip(*found, strict=True):  # each of four batches has one who wrote it
        assert sorted(map(str, batch)) == sorted(map(str, [[Outcome.CREATED] * 50, *[Code.WRITE_FAILED] * 7]))
    assert RelationTuple.objects.count() == RelationChange.objects.count() == 200


def test_lets_one_of_eight_delete_where_a_missing_one_is_an_error(committed_engine: Engine) -> None:
    many = [viewer(f"user:{number}") for number in range(200)]
    committed_engine.write(many)
    found = at_once(8, lambda number: committed_engine.delete(many, "error"))
    assert [one for one in found if isinstance(one, list)] == [[Outcome.REMOVED] * 200]
    assert [one.code for one in found if isinstance(one, Refused)] == [Code.WRITE_FAILED] * 7
    assert RelationChange.objects.filter(operation="delete").count() == 200


@pytest.mark.parametrize("mode", ["ignore", "replace"])
def test_lets_four_write_what_four_delete(committed_engine: Engine, mode: Any) -> None:
    """In whatever order: nobody waits for somebody who waits for them, and the log tells what there is."""
    many = [viewer(f"user:{number}") for number in range(60)]

    def work(number: int) -> None:
        for turn in range(10):
            turned = many[::-1] if number % 3 else many
            if number % 2 == 0:
                committed_engine.delete([*turned, ANN])
            elif mode == "replace":
                committed_engine.write([*turned, ANN_AT_ONE if turn % 2 else ANN_AT_NOON], mode)
            else:
                committed_engine.write([ANN, *turned], mode)

    assert at_once(8, work) == [None] * 8
    told: set[str] = set()
    for change in RelationChange.objects.order_by("id"):
        (told.add if change.operation == "write" else told.discard)(change.subject_id)
    assert told == set(RelationTuple.objects.values_list("subject_id", flat=True))
