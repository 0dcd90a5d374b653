"""What if: grants gained and lost, exactly; nothing is written."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from django.db import connection, transaction

from accounts.permissions.comparing import Limits, preview
from accounts.permissions.comparisons import Comparison, Grant
from accounts.permissions.compiler import compile_model
from accounts.permissions.engine import Engine, save_model
from accounts.permissions.faults import Refused
from accounts.permissions.language import Faulty, Model, parse
from accounts.permissions.language import check as faults_of
from accounts.permissions.models import PermissionModel, PermissionStore, RelationChange, RelationTuple
from accounts.permissions.proposing import proposed
from accounts.permissions.tuples import Tuple, allows
from core.ids import new_id
from tests.accounts.permissions import fuzz_cases
from tests.accounts.permissions.fuzz_cases import IDS, PEOPLE, Case

pytestmark = pytest.mark.django_db

TEXT = """model
  schema 1.1

type user

type group
  relations
    define member: [user, group#member]

type folder
  relations
    define parent: [folder]
    define viewer: [user, group#member] or viewer from parent

type document
  relations
    define parent: [folder]
    define banned: [user]
    define public: [user:*]
    define viewer: [user, user with in_hours] or viewer from parent
    define reader: (viewer or public) but not banned

condition in_hours(hour: int) {
  hour < 18
}
"""
MODEL = parse(TEXT)
CASES = 60


def _tuple(user: str, relation: str, target: str, condition: str = "") -> Tuple:
    named = {"condition": {"name": condition}} if condition else {}
    return Tuple.parse({"user": user, "relation": relation, "object": target, **named})


@pytest.fixture
def engine() -> Engine:
    engine = save_model(PermissionStore.objects.create(name=f"compare {new_id()}"), MODEL)
    engine.write(
        [
            _tuple("user:ann", "member", "group:eng"),
            _tuple("group:eng#member", "viewer", "folder:a"),
            _tuple("folder:a", "parent", "document:1"),
            _tuple("folder:a", "parent", "document:2"),
            _tuple("user:bob", "viewer", "document:1"),
            _tuple("user:bob", "banned", "document:2"),
        ]
    )
    return engine


def _texts(grants: Iterable[Grant]) -> set[str]:
    return set(map(str, grants))


def test_names_what_a_new_tuple_gives(engine: Engine) -> None:
    found = preview(engine, added=[_tuple("user:cay", "member", "group:eng")])
    assert _texts(found.gained) == {
        "group:eng#member@user:cay",
        "folder:a#viewer@user:cay",
        "document:1#viewer@user:cay",
        "document:2#viewer@user:cay",
        "document:1#reader@user:cay",
        "document:2#reader@user:cay",
    }
    assert found.lost == ()
    assert found.is_complete
    assert ("document", "banned") not in found.affected


def test_names_what_a_removed_tuple_takes(engine: Engine) -> None:
    found = preview(engine, removed=[_tuple("folder:a", "parent", "document:1")])
    assert found.gained == ()
    assert _texts(found.lost) == {
        "document:1#parent@folder:a",
        "document:1#viewer@user:ann",
        "document:1#reader@user:ann",
    }


def test_names_what_a_ban_takes(engine: Engine) -> None:
    found = preview(engine, added=[_tuple("user:bob", "banned", "document:1")])
    assert _texts(found.gained) == {"document:1#banned@user:bob"}
    assert _texts(found.lost) == {"document:1#reader@user:bob"}


def test_names_everybody_once_and_who_is_left_out(engine: Engine) -> None:
    found = preview(engine, added=[_tuple("user:*", "public", "document:2")])
    assert _texts(found.gained) == {"document:2#public@user:*", "document:2#reader@user:*"}
    engine.write([_tuple("user:*", "public", "document:2")])
    unbanned = parse(TEXT.replace(" but not banned", ""))
    assert _texts(preview(engine, model=unbanned).gained) == {"document:2#reader@user:bob"}


def test_compares_two_models(engine: Engine) -> None:
    closed = parse(TEXT.replace("with in_hours] or viewer from parent", "with in_hours]"))
    found = preview(engine, model=closed)
    assert _texts(found.lost) == {
        f"document:{number}#{relation}@user:ann" for number in (1, 2) for relation in ("viewer", "reader")
    }
    assert found.gained == ()
    assert set(found.affected) == {("document", "viewer"), ("document", "reader")}
    assert preview(engine, model=MODEL) == Comparison((), ())


def test_names_a_relation_that_is_new_or_gone(engine: Engine) -> None:
    more = parse(TEXT.replace("    define banned: [user]\n", "    define banned: [user]\n    define member: viewer\n"))
    found = preview(engine, model=more)
    assert _texts(found.gained) == {
        "document:1#member@user:ann",
        "document:1#member@user:bob",
        "document:2#member@user:ann",
    }


def test_compares_a_tuple_under_another_condition(engine: Engine) -> None:
    under = _tuple("user:bob", "viewer", "document:1", "in_hours")
    late = preview(engine, added=[under], context={"hour": 20})
    assert _texts(late.lost) == {"document:1#viewer@user:bob", "document:1#reader@user:bob"}
    assert preview(engine, added=[under], context={"hour": 9}).lost == ()


def test_says_what_has_no_answer(engine: Engine) -> None:
    found = preview(engine, added=[_tuple("user:dan", "viewer", "document:1", "in_hours")])
    assert not found.is_complete
    assert "no value" in found.cut[0]


@pytest.mark.parametrize(
    "limits", [Limits(goals=1, subjects=0), Limits(grants=1), Limits(seconds=0), Limits(subjects=0, people=1, goals=3)]
)
def test_says_when_a_limit_cut_the_search(engine: Engine, limits: Limits) -> None:
    found = preview(engine, added=[_tuple("user:cay", "member", "group:eng")], limits=limits)
    assert not found.is_complete
    assert found.as_json()["complete"] is False


def test_writes_nothing(engine: Engine) -> None:
    before = [model.objects.count() for model in (RelationTuple, RelationChange, PermissionModel)]
    closed = parse(TEXT.replace(" but not banned", ""))
    preview(
        engine,
        model=closed,
        added=[_tuple("user:cay", "member", "group:eng")],
        removed=[_tuple("user:bob", "viewer", "document:1")],
    )
    assert [model.objects.count() for model in (RelationTuple, RelationChange, PermissionModel)] == before
    assert engine.check("user:bob", "viewer", "document:1")


def test_refuses_a_tuple_or_a_model_that_cannot_be(engine: Engine) -> None:
    with pytest.raises(Refused):
        preview(engine, added=[_tuple("group:eng", "viewer", "document:1")])
    with pytest.raises(Faulty):
        preview(
            engine,
            model=parse(TEXT.replace("or viewer from parent\n    define reader", "or nobody\n    define reader")),
        )
    assert engine.check("user:bob", "viewer", "document:1")


@pytest.mark.django_db(transaction=True)
def test_says_when_the_database_ended_a_question() -> None:
    engine = save_model(PermissionStore.objects.create(name=f"compare {new_id()}"), MODEL)
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE accounts_relationtuple IN ACCESS EXCLUSIVE MODE")
            is_held.set()
            may_end.wait(20)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait(20)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '200ms'")
        found = preview(engine, model=parse(TEXT.replace(" but not banned", "")))
    finally:
        may_end.set()
        thread.join()
        connection.close()  # with its time limit
    assert found.cut == ("one question took longer than the database allows",)


@pytest.mark.django_db(transaction=True)
def test_does_not_wait_for_whoever_writes_a_tuple() -> None:
    engine = save_model(PermissionStore.objects.create(name=f"compare {new_id()}"), MODEL)
    one = _tuple("user:bob", "viewer", "document:1")
    engine.write([one])
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            engine.delete([one])
            is_held.set()
            may_end.wait(20)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait(20)
    try:
        with pytest.raises(Refused, match="ask again"):
            preview(engine, removed=[one])
    finally:
        may_end.set()
        thread.join()


def test_agrees_with_checks_of_everybody_and_everything() -> None:
    compared = changed = 0
    for case in _valid_cases(CASES):
        chance = random.Random(case.seed)
        engine = save_model(PermissionStore.objects.create(name=f"compare {new_id()}"), case.model)
        kept = [one for one in case.tuples if chance.random() < 0.8]
        engine.write(kept)
        removed = [one for one in kept if chance.random() < 0.2]
        model = _other_model(case) if chance.random() < 0.4 else None
        added = [one for one in case.tuples if one not in kept and allows(model or case.model, one)]
        limits = Limits(subjects=chance.choice([0, 50]), seconds=60)
        found = preview(engine, model=model, added=added, removed=removed, context=_CONTEXT, limits=limits)
        if not found.is_complete:
            continue
        with proposed(engine, model=model, added=added, removed=removed) as sides:
            gained, lost = _by_checks(*sides)
        for said, expected in ((found.gained, gained), (found.lost, lost)):
            assert _not_with_everybody(set(said)) == _not_with_everybody(expected), case.seed
            changed += len(said)
        compared += 1
    assert compared > CASES / 2
    assert changed > 3 * CASES


_CONTEXT = {"x": 7, "s": "red", "b": True}


def _other_model(case: Case) -> Model | None:
    """The model with one relation turned into another of its type."""
    for definition in case.model.types.values():
        relations = list(definition.relations.values())
        if len(relations) > 2:
            copy = replace(relations[-1], rewrite=relations[-2].rewrite, restrictions=relations[-2].restrictions)
            types = {
                **case.model.types,
                definition.name: replace(definition, relations={**definition.relations, copy.name: copy}),
            }
            model = replace(case.model, types=types)
            used = {
                one.condition
                for of_type in types.values()
                for relation in of_type.relations.values()
                for one in relation.restrictions
            }
            model = replace(model, conditions={name: one for name, one in model.conditions.items() if name in used})
            return None if faults_of(model) else model
    return None


def _by_checks(before: Engine, after: Engine) -> tuple[set[Grant], set[Grant]]:
    questions = list(_every_question(before.model))
    had, has = (
        {
            question
            for question, answer in zip(questions, engine.check_many(questions, context=_CONTEXT), strict=True)
            if answer is True
        }
        for engine in (before, after)
    )
    return ({Grant(one[2], one[1], one[0]) for one in found} for found in (has - had, had - has))  # type: ignore[return-value]


def _every_question(model: Model) -> Iterator[tuple[str, str, str]]:
    plain = [name for name, definition in model.types.items() if not definition.relations]
    subjects = [f"{kind}:{name}" for kind in plain for name in (*PEOPLE, "*")]
    subjects += [f"{kind}:{name}" for kind in model.types if kind not in plain for name in IDS]
    for definition in model.types.values():
        for relation in definition.relations:
            for number in IDS:
                for subject in subjects:
                    yield subject, relation, f"{definition.name}:{number}"


def _not_with_everybody(grants: set[Grant]) -> set[Grant]:
    """Whoever comes or goes with everybody need not be named."""
    return {one for one in grants if replace(one, subject=f"{one.subject.partition(':')[0]}:*") not in grants} | {
        one for one in grants if one.subject.endswith(":*")
    }


def _valid_cases(count: int) -> list[Case]:
    cases = (fuzz_cases.make(seed) for seed in range(5_000, 5_000 + 10 * count))
    valid = (case for case in cases if not faults_of(case.model))
    return [case for case in valid if not compile_model(case.model).circular][:count]  # those are slow to check
