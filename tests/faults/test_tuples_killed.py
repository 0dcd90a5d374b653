"""A process is killed with -9 while it writes rows and their tuples: neither is ever there without the other."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO

import pytest
from django.db import connection

from accounts.models import Organization
from accounts.permissions.models import RelationChange, RelationTuple
from accounts.services import memberships
from audit.models import Event
from core.access import Role
from core.actor import SYSTEM
from tests.cast import new_person
from tests.support.processes import ROOT, Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

KILLS = int(os.environ.get("COUNTINGHOUSE_KILLS", "12"))
PEOPLE = 8

# In one statement, since the last commit of the dead may come a moment later.
_DIVERGENT = """
    SELECT count(*) FROM (SELECT user_id::text AS member, team_id::text AS team FROM accounts_teammember) AS kept
    FULL JOIN (SELECT subject_id AS member, object_id AS team FROM accounts_relationtuple WHERE object_type = 'team')
        AS told USING (member, team)
    WHERE kept IS NULL OR told IS NULL
"""


@pytest.fixture
def people(organization: Organization) -> None:
    for number in range(PEOPLE):
        person = new_person(f"person{number}@example.com")
        memberships.create(actor=SYSTEM, organization=organization, user=person, role=Role.MEMBER)


@pytest.fixture
def writer(processes: Processes, organization: Organization, people: None) -> Iterator[Callable[[int], int]]:
    """Starts a process that writes, and returns its number."""
    command = [sys.executable, "-m", "tests.faults.team_writer", str(organization.pk)]
    environment = processes.environment(LOG_LEVEL="ERROR")
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as maker:

        def start(seed: int) -> int:
            asked, answered = _pipes(maker)
            asked.write(f"{seed}\n")
            asked.flush()
            return int(answered.readline())

        yield start
        _pipes(maker)[0].close()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def test_keeps_rows_and_tuples_together_whenever_it_is_killed(
    writer: Callable[[int], int], record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    divergent = 0
    for _ in range(KILLS):
        child = writer(chance.randrange(2**32))
        time.sleep(chance.uniform(0, 0.4))
        os.kill(child, signal.SIGKILL)
        divergent += _count(_DIVERGENT)
    _wait_for_the_last_commit()
    assert divergent + _count(_DIVERGENT) == 0, f"seed {seed}"
    told = {(one.subject_id, one.object_id) for one in RelationTuple.objects.filter(object_type="team")}
    assert _replayed() == told, f"seed {seed}"
    added = Event.objects.filter(type="accounts.team_member.added").count()
    written = RelationChange.objects.filter(object_type="team", operation="write").count()
    assert added == written > 0, f"seed {seed}"
    record_property("kills", KILLS)
    record_property("tuples written and deleted meanwhile", RelationChange.objects.count())


def _count(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])


def _wait_for_the_last_commit() -> None:
    """Until the server has noticed that nobody is there any more."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    deadline = time.monotonic() + 30
    while _count(others + "AND xact_start IS NOT NULL") and time.monotonic() < deadline:
        time.sleep(0.05)


def _replayed() -> set[tuple[str, str]]:
    """What the change log says that there is."""
    found: set[tuple[str, str]] = set()
    for change in RelationChange.objects.filter(object_type="team").order_by("id"):
        key = (change.subject_id, change.object_id)
        assert (key in found) == (change.operation == "delete"), "written twice, or deleted without being there"
        (found.add if change.operation == "write" else found.discard)(key)
    return found
