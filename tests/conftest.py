"""Real servers for every test. The cast (owner, team-mate, stranger, staff) stands in `cast.py`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import hypothesis
import pytest
from django.conf import settings
from django.db import connections
from django.test import TransactionTestCase

from tests.cast import (  # noqa: F401
    actor_of,
    api,
    organization,
    other_organization,
    owner,
    staff,
    stranger,
    team_mate,
)
from tests.settings import SERVERS
from tests.support import database
from tests.support.openfga import ASKED, openfga, openfga_server  # noqa: F401
from tests.support.processes import Processes

# A slow machine is no fault of the code: examples have no time-out of their own.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")

_reset: database.Reset | None = None


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """A database of this process's own, migrated by the owner; tests use it as the restricted role."""
    global _reset
    with django_db_blocker.unblock():
        assert SERVERS is not None
        if not SERVERS.is_database_given:
            SERVERS.start_postgres()
        else:
            database.prepare_given_server(os.environ.get("PYTEST_XDIST_WORKER", "main"))
        _reset = database.Reset(database.owner_url())
    yield
    with django_db_blocker.unblock():
        connections.close_all()
    _reset.close()


def _fixture_teardown(self: TransactionTestCase) -> None:
    assert _reset is not None
    connections.close_all()
    _reset()


@classmethod  # type: ignore[misc]
def _fixture_setup(cls: type[TransactionTestCase]) -> None:
    """Begin on empty tables: the sandbox commits on a connection of its own, also in a test that rolls back."""
    assert _reset is not None
    _reset()


TransactionTestCase._fixture_setup = _fixture_setup  # type: ignore[assignment]
# Django's own flush would run as the product's role, which must not truncate, and against the append-only triggers.
TransactionTestCase._fixture_teardown = _fixture_teardown  # type: ignore[method-assign]


@pytest.fixture
def owner_connection(django_db_setup: None) -> Iterator[Any]:
    """A connection as the owner of the tables, each statement committed: for what the product itself may not do."""
    import psycopg

    with psycopg.connect(database.owner_url(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def processes(tmp_path: Path, django_db_setup: None) -> Iterator[Processes]:
    """Starts web, worker and relay as real processes on the servers of this test, and ends them after it."""
    found = Processes(tmp_path / "processes")
    yield found
    found.close()


@pytest.fixture(scope="session")
def _valkey() -> Iterator[Any]:
    import redis

    if SERVERS is not None:
        SERVERS.start_valkey()
    client = redis.Redis.from_url(settings.REDIS_URL)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _empty_valkey(_valkey: Any) -> None:
    """Each test starts with an empty cache, no limits used and an empty queue."""
    _valkey.flushdb()


@pytest.fixture(autouse=True)
def _no_kept_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts as a process that was asked nothing about permissions: ids of stores may come twice. What it
    knows does not age, since a statement more or less after a second would be counted by some test."""
    from accounts.permissions import asking, revision

    asking.forget()
    monkeypatch.setattr(revision, "RECHECK_SECONDS", 1e9)


_MADE_ANEW = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?7[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}|[a-z]+_01[0-9a-z]{24}")


def pytest_make_parametrize_id(config: Any, val: object, argname: str) -> str | None:
    """Ids are made anew in each process: no test may be named by one, since all workers must agree."""
    return argname if isinstance(val, str | UUID) and _MADE_ANEW.search(str(val)) else None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell the figures that tests noted by `record_property`, also when workers ran them."""
    asked_openfga = 0
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        for name, value in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
            if name == ASKED:
                asked_openfga += 1
            else:
                terminalreporter.write_line(f"{name}: {value}")
    if asked_openfga:
        terminalreporter.write_line(f"OpenFGA server: {asked_openfga} tests asked one.")


def pytest_unconfigure() -> None:
    if SERVERS is not None:
        SERVERS.close()
