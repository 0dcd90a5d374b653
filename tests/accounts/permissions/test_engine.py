"""What the engine offers beyond OpenFGA's tests: many checks at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction

from accounts.permissions.engine import Engine, save_model
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import parse
from accounts.permissions.models import PermissionStore
from accounts.permissions.tuples import Object, Subject, Tuple
from core.ids import new_id

pytestmark = pytest.mark.django_db

MODEL = parse("""model
  schema 1.1

type user

type document
  relations
    define viewer: [user, user with in_hours]
    define banned: [user]
    define reader: viewer but not banned

condition in_hours(hour: int) {
  hour < 18
}
""")


@pytest.fixture
def engine() -> Engine:
    engine = save_model(PermissionStore.objects.create(name=f"engine {new_id()}"), MODEL)
    engine.write(
        [
            Tuple.parse({"user": "user:ann", "relation": "viewer", "object": "document:1"}),
            Tuple.parse({"user": "user:bob", "relation": "viewer", "object": "document:1"}),
            Tuple.parse({"user": "user:bob", "relation": "banned", "object": "document:1"}),
            Tuple.parse(
                {"user": "user:cay", "relation": "viewer", "object": "document:1", "condition": {"name": "in_hours"}}
            ),
        ]
    )
    return engine


QUESTIONS = [
    ("user:ann", "reader", "document:1"),
    ("user:bob", "reader", "document:1"),
    ("user:bob", "viewer", "document:1"),
    ("user:ann", "none", "document:1"),
    ("user:cay", "reader", "document:1"),
    ("document:1", "reader", "document:1"),
]


def test_answers_many_checks_in_their_order(engine: Engine, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        answers = engine.check_many(QUESTIONS, context={"hour": 9})
    assert isinstance(answers[3], Refused)
    assert [*answers[:3], *answers[4:]] == [True, False, True, True, False]


def of(answer: bool | Refused) -> bool | Code:
    return answer.code if isinstance(answer, Refused) else answer


def alone(engine: Engine, question: tuple[str, str, str], given: Any, context: dict[str, Any]) -> bool | Code:
    try:
        return engine.check(*question, given=given, context=context)
    except Refused as refused:
        return refused.code


def test_answers_each_as_a_check_of_its_own_does(engine: Engine) -> None:
    given = [{"user": "user:dan", "relation": "viewer", "object": "document:2"}]
    questions = [*QUESTIONS, ("user:dan", "reader", "document:2")]
    for context in ({}, {"hour": 9}, {"hour": 20}):
        for answer, question in zip(engine.check_many(questions, given, context), questions, strict=True):
            assert of(answer) == alone(engine, question, given, context)


def test_asks_nothing_when_nothing_is_asked(engine: Engine, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert engine.check_many([]) == []
        assert engine.check_many([QUESTIONS[5]]) == [False]


def read_whole() -> int:
    """How often the table of tuples was read from end to end in this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'accounts_relationtuple'")
        return int(cursor.fetchone()[0])


def test_never_reads_all_tuples(engine: Engine) -> None:
    fill = """
        INSERT INTO accounts_relationtuple (store_id, object_type, object_id, relation, subject_type, subject_id,
            subject_relation, condition, created_at)
        SELECT %s, 'document', number, 'viewer', 'user', number %% 1000, '', '', now()
        FROM generate_series(1, 20000) AS number
    """
    with connection.cursor() as cursor:
        cursor.execute(fill, [engine.store_id])
        cursor.execute("ANALYZE accounts_relationtuple")
    before = read_whole()
    for given in ([], [{"user": "user:dan", "relation": "viewer", "object": "document:2"}]):
        assert engine.check("user:2", "reader", "document:2", given=given)
        assert engine.check_many([("user:2", "viewer", "document:2")], given) == [True]
        assert len(engine.list_objects("user:2", "reader", "document", given)) == 20
        assert len(engine.list_users("document:2", "reader", "user", given)) == 1 + len(given)
        assert engine.page_of_objects("user:2", "viewer", "document", given=given, limit=2).next
        assert engine.page_of_users("document:2", "viewer", "user", given=given).is_complete
    assert read_whole() == before


@pytest.mark.django_db(transaction=True)
def test_plans_for_many_as_soon_as_many_are_written(engine: Engine) -> None:
    assert not engine.check("user:zoe", "reader", "document:1")  # planned for a table with three rows
    engine.write([Tuple(Object("document", str(number)), "viewer", Subject("user", "zoe")) for number in range(3000)])
    with transaction.atomic():
        before = read_tuples()
        assert engine.check("user:zoe", "reader", "document:2999")
        assert read_tuples() - before < 10


WIDE = parse("""model
  schema 1.1

type user

type group
  relations
    define member: [user, group#member]

type document
  relations
    define viewer: [user, group#member]
""")


def read_tuples() -> int:
    """How many entries of the indexes of tuples were read in this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'accounts_relationtuple'")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_walks_from_the_end_that_is_nearer(owner_connection: Any) -> None:
    engine = save_model(PermissionStore.objects.create(name=f"wide {new_id()}"), WIDE)
    rows = [
        row
        for number in range(2000)
        for row in (
            ("document:wide", "viewer", f"group:{number}#member"),
            (f"group:{number}", "member", "user:many"),
            ("group:0", "member", f"user:{number}"),
        )
    ]
    rows += [("group:1999", "member", "user:one"), ("document:narrow", "viewer", "group:7#member")]
    rows += [("group:1", "member", "group:a#member"), ("group:a", "member", "user:deep")]
    engine.write([Tuple.parse({"object": one, "relation": two, "user": three}) for one, two, three in rows])
    owner_connection.execute("ANALYZE accounts_relationtuple, accounts_permissionhop, accounts_permissionnode")
    for subject, target, answer in (
        ("user:one", "document:wide", True),
        ("user:none", "document:wide", False),
        ("user:many", "document:wide", True),
        ("user:many", "document:narrow", True),
        ("user:many", "document:none", False),
        ("user:deep", "document:wide", True),
    ):
        with transaction.atomic():
            before = read_tuples()
            assert engine.check(subject, "viewer", target) is answer
            assert read_tuples() - before < 500, (subject, target)
