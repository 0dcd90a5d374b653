"""The test frame itself: a database of one's own, the restricted role, the reset."""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import ProgrammingError, connection

from tests.support.processes import Processes


@pytest.mark.django_db
def test_tests_run_as_the_restricted_role() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select current_user, current_database()")
        assert cursor.fetchone()[0].endswith("_app")


@pytest.mark.django_db
def test_the_restricted_role_makes_no_tables() -> None:
    with connection.cursor() as cursor, pytest.raises(ProgrammingError, match="permission denied"):
        cursor.execute("create table public.intruder (id int)")


@pytest.mark.parametrize("round_", [1, 2])
@pytest.mark.django_db(transaction=True)
def test_a_committed_row_is_gone_in_the_next_test_and_the_seed_is_kept(round_: int) -> None:
    assert not ContentType.objects.filter(app_label="intruder").exists()
    assert ContentType.objects.filter(app_label="contenttypes").exists()
    ContentType.objects.create(app_label="intruder", model="row")


def test_a_command_says_that_the_database_is_older_than_the_program(processes: Processes) -> None:
    ours = urlsplit(os.environ["DATABASE_URL"])
    empty = {"DATABASE_URL": urlunsplit(ours._replace(path="/postgres"))}
    told = processes.run("staff", **empty)
    assert told.returncode == 1
    assert told.stderr.startswith("The database is older than the program: ")
    assert told.stderr.endswith(" migrations are pending. Run: python3 manage.py migrate\n")
    assert "Traceback" in processes.run("staff", "--traceback", **empty).stderr
