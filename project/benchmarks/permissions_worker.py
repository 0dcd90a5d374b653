"""The side of `manage.py bench permissions` that works inside the product.

`{"do": "build", "scale": 1}` makes a store with a company in it, `{"do": "measure", "times": 1000}` asks questions of
it. Times of the engine are taken inside PostgreSQL, by `clock_timestamp` around each of many questions.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from project.benchmarks import permissions_openfga
from project.benchmarks.permissions_data import BUSY, MODEL, OPEN, Company
from project.benchmarks.stopwatch import median_of, median_when_warm, milliseconds
from project.benchmarks.worker import serve

if TYPE_CHECKING:
    from accounts.permissions.engine import Engine

_built: list[tuple[Company, Engine]] = []

_LOOP = """
CREATE FUNCTION pg_temp.timed_checks(st bigint, m bigint, node integer, has_operators boolean, objects text[],
    subjects text[]) RETURNS TABLE (took double precision, answer integer) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
BEGIN
    FOR i IN 1 .. cardinality(objects) LOOP
        began := clock_timestamp();
        answer := permission_check(st, m, node, objects[i], 'user', subjects[i], '', '{}', NULL, 0,
            has_operators);
        took := extract(epoch FROM clock_timestamp() - began) * 1000;
        RETURN NEXT;
    END LOOP;
END $$
"""


def build(scale: float) -> dict[str, Any]:
    """Copy the company's tuples into a store of its own."""
    from django.db import connection

    from accounts.permissions.engine import save_model
    from accounts.permissions.language import parse
    from accounts.permissions.models import PermissionStore

    company = Company(scale)
    engine = save_model(PermissionStore.objects.create(name=f"bench {scale}"), parse(MODEL))
    rows = list(dict.fromkeys(company.tuples()))
    columns = "store_id, object_type, object_id, relation, subject_type, subject_id, subject_relation, condition"
    with connection.cursor() as cursor:
        copy = f"COPY accounts_relationtuple ({columns}, created_at) FROM STDIN"
        with cursor.copy(copy) as target:
            for row in rows:
                target.write_row((engine.store_id, *row, "", "2026-01-01T00:00:00Z"))
    _analyze()
    _built.append((company, engine))
    return {"tuples": len(rows)}


def _analyze() -> None:
    """As the owner: the product's role may not, and PostgreSQL does so by itself a minute later. Until then plans are
    those of the small company, which read a whole store for each check."""
    import psycopg
    from django.conf import settings

    with psycopg.connect(settings.MIGRATION_DATABASE_URL, autocommit=True) as link:
        link.execute("ANALYZE accounts_relationtuple, accounts_permissionhop, accounts_permissionnode")


def measure(times: int) -> dict[str, Any]:
    """Return figures of the store that was built last: milliseconds, and how many a list has."""
    company, engine = _built[-1]
    found: dict[str, float] = {}
    for relation in ("editor", "viewer", "reader"):
        found |= _checks(company, engine, relation, times)
    found["check_with_round_trip_p50_ms"] = _round_trips(company, engine, times)
    found["check_kept_p50_ms"] = _kept(company, engine, times)
    found["explain_p50_ms"] = _explanations(company, engine, max(1, times // 10))
    given = [{"user": "user:0", "relation": "viewer", "object": "document:0"}]
    found["check_with_given_tuple_p50_ms"] = _round_trips(company, engine, times, given)
    small = str(company.people // 2)
    found |= _list("list_objects_many", partial(engine.list_objects, f"user:{BUSY}", "editor", "document"))
    found |= _list("list_objects", partial(engine.list_objects, f"user:{small}", "viewer", "document"))
    found |= _list("list_objects_but_not", partial(engine.list_objects, f"user:{small}", "reader", "document"))
    pages = (("page_of_many", BUSY, "viewer"), ("page", small, "viewer"), ("page_but_not", small, "reader"))
    for name, who, relation in pages:
        found |= _list(name, partial(_page, engine, f"user:{who}", relation))
    found |= _list("list_users", partial(engine.list_users, f"document:{OPEN}", "viewer", "user"))
    found |= _list("list_users_but_not", partial(engine.list_users, f"document:{OPEN}", "reader", "user"))
    return found | _writes(engine)


def openfga(address: str, times: int) -> dict[str, Any]:
    """Write the tuples of the store that was built last to an OpenFGA server, and ask it the same."""
    company, _ = _built[-1]
    engine = permissions_openfga.load(address, company)
    return permissions_openfga.measure(engine, company, _asked(company, times))


def _page(engine: Engine, subject: str, relation: str) -> Sequence[str]:
    """A page of 100 documents from the middle of the list."""
    return engine.page_of_objects(subject, relation, "document", limit=100, after="3").items


def _checks(company: Company, engine: Engine, relation: str, times: int) -> dict[str, float]:
    from django.db import connection

    node = engine.program.relations["document", relation]
    objects, subjects = _asked(company, 10 * times)  # they take so little that the median of few is not steady
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("DROP FUNCTION IF EXISTS pg_temp.timed_checks")
        cursor.execute(_LOOP)
        has_operators = engine.program.has_operators(node)
        arguments: list[Any] = [engine.store_id, engine.model_id, node, has_operators, objects, subjects]
        took: list[float] = []
        for _ in range(2):  # the first round warms up
            cursor.execute("SELECT took FROM pg_temp.timed_checks(%s, %s, %s, %s, %s, %s)", arguments)
            took = [row[0] for row in cursor.fetchall()]
    cuts = statistics.quantiles(took, n=100)
    return {f"check_{relation}_p50_ms": cuts[49], f"check_{relation}_p95_ms": cuts[94]}


def _round_trips(company: Company, engine: Engine, times: int, given: Sequence[dict[str, str]] = ()) -> float:
    """What a program waits for one check, from Python and back; `given` tuples are brought along."""
    asked = _questions(company, "viewer", times)
    return median_of(partial(engine.check, *question, given) for question in asked)


def _explanations(company: Company, engine: Engine, times: int) -> float:
    """What it takes to say why."""
    return median_of(partial(engine.explain, *question) for question in _questions(company, "reader", times))


def _kept(company: Company, engine: Engine, times: int) -> float:
    """What a check takes whose answer the process keeps."""
    from accounts.permissions import cache

    cache.forget()
    asked = [partial(cache.checked, engine, *question) for question in _questions(company, "viewer", times)]
    median_of(asked)  # asks, and keeps
    return median_of(asked)


def _writes(engine: Engine) -> dict[str, float]:
    """What one request of 10,000 tuples takes, on top of what there is."""
    from accounts.permissions.tuples import Tuple

    keys = ({"user": f"user:{number}", "relation": "viewer", "object": "document:new"} for number in range(10_000))
    many = list(map(Tuple.parse, keys))
    return {
        "write_10000_ms": milliseconds(partial(engine.write, many)),
        "delete_10000_ms": milliseconds(partial(engine.delete, many)),
    }


def _asked(company: Company, times: int) -> tuple[list[str], list[str]]:
    """Documents and people at random."""
    chance = random.Random(7)  # noqa: S311 - the same each time
    objects = [str(chance.randrange(company.documents)) for _ in range(times)]
    return objects, [str(chance.randrange(company.people)) for _ in range(times)]


def _questions(company: Company, relation: str, times: int) -> list[tuple[str, str, str]]:
    """The same as checks of one relation."""
    pairs = zip(*_asked(company, times), strict=True)
    return [(f"user:{subject}", relation, f"document:{target}") for target, subject in pairs]


def _list(name: str, ask: Callable[[], Sequence[str]]) -> dict[str, float]:
    return {f"{name}_ms": median_when_warm(ask), f"{name}_length": len(ask())}


if __name__ == "__main__":
    serve(sys.argv[1], {"build": build, "measure": measure, "openfga": openfga})
