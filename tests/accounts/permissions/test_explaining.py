"""Explanations: a yes rests on tuples that are enough for it, a no names every way that was tried."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from accounts.permissions.engine import Engine, save_model
from accounts.permissions.explaining import explain
from accounts.permissions.explanations import Explanation, Outcome, Step
from accounts.permissions.exploring import Limits
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import Model, parse
from accounts.permissions.language import check as faults_of
from accounts.permissions.models import PermissionStore
from accounts.permissions.tuples import Tuple
from core.ids import new_id
from tests.accounts.permissions import fuzz_cases
from tests.accounts.permissions.fuzz_cases import Case

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
    define viewer: [user, group#member] or viewer from parent

type document
  relations
    define parent: [folder]
    define editor: [user, group#member]
    define banned: [user, user:*]
    define signed: [user]
    define viewer: [user, user with in_hours] or editor or viewer from parent
    define reader: viewer but not banned
    define author: editor and signed

condition in_hours(hour: int) {
  hour < 18
}
""")
CASES = 120


def _tuple(user: str, relation: str, target: str, condition: str = "", **context: Any) -> Tuple:
    named = {"condition": {"name": condition, "context": context}} if condition else {}
    return Tuple.parse({"user": user, "relation": relation, "object": target, **named})


def _engine(model: Model, *written: Tuple) -> Engine:
    engine = save_model(PermissionStore.objects.create(name=f"explain {new_id()}"), model)
    engine.write(written)
    return engine


@pytest.fixture
def engine() -> Engine:
    return _engine(
        MODEL,
        _tuple("group:all#member", "editor", "document:1"),
        _tuple("group:staff#member", "member", "group:all"),
        _tuple("user:ann", "member", "group:staff"),
        _tuple("folder:a", "parent", "document:1"),
        _tuple("folder:b", "parent", "folder:a"),
        _tuple("user:ann", "viewer", "folder:b"),
        _tuple("user:bob", "viewer", "folder:a"),
        _tuple("user:bob", "banned", "document:1"),
        _tuple("user:cay", "viewer", "document:1", "in_hours"),
        _tuple("user:ann", "signed", "document:1"),
    )


def _texts(step: Step) -> list[tuple[str, str]]:
    """Each step's rule and tuple, from the outside to the inside."""
    own = (step.rule, str(step.met.tuple) if step.met else "")
    return [own, *(text for inner in step.steps for text in _texts(inner))]


def test_names_the_shortest_way_to_a_yes(engine: Engine) -> None:
    found = engine.explain("user:ann", "viewer", "folder:a")
    assert found.is_allowed
    assert found.is_complete
    assert found.witness is not None
    assert _texts(found.witness) == [
        ("viewer <- viewer from parent", "folder:a#parent@folder:b"),
        ("viewer <- [direct]", "folder:b#viewer@user:ann"),
    ]
    assert [str(one) for one in found.tuples] == ["folder:a#parent@folder:b", "folder:b#viewer@user:ann"]


def test_shows_a_witness_for_each_operand_of_an_and(engine: Engine) -> None:
    found = engine.explain("user:ann", "author", "document:1")
    assert found.witness is not None
    assert found.witness.rule == "author <- editor and signed"
    assert [step.rule for step in found.witness.steps] == ["author <- editor", "author <- signed"]
    assert "document:1#signed@user:ann" in map(str, found.tuples)


def test_shows_what_was_tried_of_that_which_is_subtracted(engine: Engine) -> None:
    found = engine.explain("user:ann", "reader", "document:1")
    assert found.witness is not None
    base, banned = found.witness.steps
    assert base.outcome is Outcome.HOLDS
    assert banned.outcome is Outcome.DENIED
    assert banned.steps[0].outcome is Outcome.NO_TUPLE


def test_proves_an_exclusion_of_a_no(engine: Engine) -> None:
    found = engine.explain("user:bob", "reader", "document:1")
    assert found.is_allowed is False
    (step,) = found.tried
    assert step.outcome is Outcome.EXCLUDED
    assert _texts(step)[-1] == ("banned <- [direct]", "document:1#banned@user:bob")
    assert found.tuples == ()


def test_names_every_way_that_was_tried_for_a_no(engine: Engine) -> None:
    found = engine.explain("user:dan", "viewer", "document:1")
    assert found.is_allowed is False
    assert [step.rule for step in found.tried] == [
        "viewer <- [direct]",
        "viewer <- editor",
        "viewer <- viewer from parent",
    ]
    assert found.tried[0].outcome is Outcome.NO_TUPLE
    assert found.lines()[0] == "No: user:dan is not viewer of document:1."
    text = "\n".join(found.lines())
    assert "document:1#parent@folder:a (stored)" in text
    assert "folder:b#viewer: viewer <- viewer from parent: no tuple" in text


def test_says_what_a_condition_was_given_and_what_it_came_to(engine: Engine) -> None:
    holds = engine.explain("user:cay", "viewer", "document:1", context={"hour": 9})
    assert holds.lines()[1].endswith("document:1#viewer@user:cay (stored; in_hours holds: hour=9)")
    late = engine.explain("user:cay", "viewer", "document:1", context={"hour": 20})
    assert late.tried[0].outcome is Outcome.CONDITION_FALSE
    assert late.tried[0].as_json()["tuple"]["condition"] == {
        "name": "in_hours",
        "holds": False,
        "parameters": {"hour": 20},
        "problem": None,
    }


def test_explains_why_there_is_no_answer(engine: Engine) -> None:
    found = engine.explain("user:cay", "viewer", "document:1")
    assert found.is_allowed is None
    assert found.refused is not None
    assert found.refused.code == Code.VALIDATION
    assert found.tried[0].outcome is Outcome.NO_VALUE
    assert "needs hour" in found.lines()[1]
    assert found.as_json()["allowed"] is None


def test_tells_tuples_given_from_those_stored(engine: Engine) -> None:
    given = [_tuple("user:dan", "member", "group:staff")]
    found = engine.explain("user:dan", "editor", "document:1", given)
    text = "\n".join(found.lines())
    assert "group:staff#member@user:dan (given)" in text
    assert "group:all#member@group:staff#member (stored)" in text
    engine.always_given = tuple(given)
    assert engine.explain("user:dan", "editor", "document:1").is_allowed


def test_walks_a_circle_once() -> None:
    engine = _engine(
        MODEL, _tuple("group:b#member", "member", "group:a"), _tuple("group:a#member", "member", "group:b")
    )
    found = engine.explain("user:ann", "member", "group:a")
    assert found.is_allowed is False
    assert found.is_complete
    assert Outcome.CIRCLE in _outcomes(found)


def test_shows_the_same_place_once() -> None:
    groups = [_tuple(f"group:{name}#member", "editor", "document:1") for name in ("a", "b")]
    below = [_tuple("group:c#member", "member", f"group:{name}") for name in ("a", "b")]
    found = _engine(MODEL, *groups, *below).explain("user:ann", "editor", "document:1")
    assert Outcome.SHOWN in _outcomes(found)


def _outcomes(found: Explanation) -> set[Outcome]:
    waiting, outcomes = list(found.tried), set()
    while waiting:
        step = waiting.pop()
        outcomes.add(step.outcome)
        waiting.extend(step.steps)
    return outcomes


def test_names_the_subject_that_is_the_userset_itself(engine: Engine) -> None:
    found = engine.explain("group:staff#member", "editor", "document:1")
    assert found.is_allowed
    assert [str(one) for one in found.tuples][-1] == "group:all#member@group:staff#member"
    itself = engine.explain("group:staff#member", "member", "group:staff")
    assert itself.is_allowed
    assert itself.tuples == ()


def test_says_when_the_limits_cut_the_search() -> None:
    groups = [_tuple(f"group:{number}#member", "editor", "document:1") for number in range(30)]
    engine = _engine(MODEL, *groups, _tuple("user:ann", "member", "group:9"))
    small = Limits(branches=5)
    found = explain(engine, "user:bob", "editor", "document:1", limits=small)
    assert found.is_allowed is False
    assert not found.is_complete
    assert found.lines()[-1].startswith("Not everything was looked at")
    short = explain(engine, "user:bob", "editor", "document:1", limits=Limits(steps=10))
    assert Outcome.CUT in _outcomes(short)
    assert not short.is_complete


def test_finds_the_way_through_a_set_too_large_to_read() -> None:
    groups = [_tuple(f"group:{number}#member", "editor", "document:1") for number in range(30)]
    engine = _engine(MODEL, *groups, _tuple("user:ann", "member", "group:9"))
    found = explain(engine, "user:ann", "editor", "document:1", limits=Limits(branches=5))
    assert [str(one) for one in found.tuples] == ["document:1#editor@group:9#member", "group:9#member@user:ann"]


def test_asks_a_query_for_each_tuple_in_a_row(engine: Engine, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(6):
        engine.explain("user:ann", "editor", "document:1")


@pytest.mark.parametrize("question", [("user:ann", "none", "document:1"), ("ann", "viewer", "document:1")])
def test_refuses_what_check_refuses(engine: Engine, question: tuple[str, str, str]) -> None:
    with pytest.raises(Refused):
        engine.explain(*question)


def test_follows_each_of_two_tuples_given_under_other_contexts(engine: Engine) -> None:
    at = [_tuple("user:eve", "viewer", "document:1", "in_hours", hour=hour) for hour in (20, 9)]
    for given in (at, at[::-1]):
        found = engine.explain("user:eve", "viewer", "document:1", given)
        assert (found.is_allowed, found.is_complete) == (True, True)
        assert found.lines()[1].endswith("(given; in_hours holds: hour=9)")


def test_says_what_check_says_and_each_witness_is_enough() -> None:
    explained = witnesses = 0
    for case in _valid_cases(CASES):
        with transaction.atomic():
            engine = _engine(case.model, *case.tuples)
            for query in case.queries:
                if query.ask != "check":
                    continue
                context = dict(query.context)
                question = (query.subject, query.relation, query.target)
                found = engine.explain(*question, context=context)
                assert found.is_allowed == _checked(engine, question, context), (case.seed, str(query))
                explained += 1
                if found.is_allowed:
                    assert found.witness is not None, (case.seed, str(query))
                    if not _subtracts(found.witness):
                        alone = _engine(case.model, *found.tuples)
                        assert alone.check(*question, context=context), (case.seed, str(query))
                        witnesses += 1
                elif found.is_allowed is False:
                    assert not _holds(found.tried), (case.seed, str(query))
            transaction.set_rollback(True)
    assert explained >= 10 * CASES
    assert witnesses > CASES


def _checked(engine: Engine, question: tuple[str, str, str], context: dict[str, Any]) -> bool | None:
    try:
        return engine.check(*question, context=context)
    except Refused:
        return None


def _subtracts(step: Step) -> bool:
    return " but not " in step.rule or any(map(_subtracts, step.steps))


def _holds(steps: tuple[Step, ...]) -> bool:
    return any(step.outcome is Outcome.HOLDS for step in steps)


def _valid_cases(count: int) -> list[Case]:
    cases = (fuzz_cases.make(seed) for seed in range(10 * count))
    return [case for case in cases if not faults_of(case.model)][:count]
