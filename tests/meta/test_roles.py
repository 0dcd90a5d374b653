"""The product's role in PostgreSQL: what is append-only stays so, and no function can be led astray."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from core.database_roles import append_only_tables

pytestmark = pytest.mark.django_db

_PARTITIONS = "select inhrelid::regclass::text from pg_inherits where inhparent = any(%s::regclass[])"


def kept() -> list[str]:
    """The append-only tables and their partitions."""
    tables = sorted(append_only_tables())
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS, [tables])
        return tables + [row[0] for row in cursor.fetchall()]


@pytest.mark.parametrize(
    "attempt",
    [
        "delete from {table}",
        "truncate {table}",
        "drop table {table}",
        "alter table {table} disable trigger all",
        "alter table {table} disable trigger user",
        "alter table {table} owner to current_user",
        "create rule quiet as on insert to {table} do instead nothing",
        "create trigger quiet before insert on {table} for each row execute function core_refuse_change()",
        "create or replace function core_refuse_change() returns trigger language plpgsql as 'begin return new; end'",
        "set session_replication_role = replica",
        "grant delete on {table} to current_user",
    ],
)
def test_cannot_unmake_what_is_append_only(attempt: str) -> None:
    assert "audit_event" in kept()
    assert len(kept()) > len(append_only_tables())
    for table in kept():
        if attempt.startswith("grant"):
            # PostgreSQL answers a grant without the right to it by a warning: what counts is what it gave.
            with connection.cursor() as cursor:
                try:
                    with transaction.atomic():
                        cursor.execute(attempt.format(table=table))
                except DatabaseError:
                    pass
                cursor.execute("select has_table_privilege(%s, 'delete')", [table])
                assert cursor.fetchone() == (False,), table
            continue
        with (
            pytest.raises(DatabaseError, match=r"permission denied|must be (owner|able)"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(attempt.format(table=table))


def test_cannot_update_any_column_of_what_is_append_only() -> None:
    with connection.cursor() as cursor:
        for table in kept():
            cursor.execute(
                "select has_any_column_privilege(%s, 'update'), has_table_privilege(%s, 'trigger')", [table] * 2
            )
            assert cursor.fetchone() == (False, False), table


def test_pins_the_search_path_of_each_function_that_reads_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select proname, prosecdef, coalesce(array_to_string(proconfig, ' '), ''), prosrc ~* '\\m(from|into) +\\w+_'
            from pg_proc join pg_namespace n on n.oid = pronamespace join pg_language l on l.oid = prolang
            where nspname = 'public' and lanname in ('plpgsql', 'sql')
            """
        )
        rows = cursor.fetchall()
    assert any(reads for _, _, _, reads in rows)
    for name, is_definer, options, reads in rows:
        assert not (is_definer or reads) or "search_path=public, pg_temp" in options.replace('"', ""), name


def test_lets_nobody_but_the_product_call_what_runs_as_the_owner() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select proname from pg_proc join pg_namespace n on n.oid = pronamespace where nspname = 'public'"
            " and prosecdef and (proacl is null or exists (select from aclexplode(proacl) where grantee = 0))"
        )
        assert cursor.fetchall() == []
