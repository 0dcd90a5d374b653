"""The reset of the database after a test that committed: through the owner, past the append-only triggers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import sql

_TABLES = """
select c.oid::regclass::text, exists (select 1 from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> 'django_migrations'
order by 1
"""
_PARENTS = """
select conrelid::regclass::text, confrelid::regclass::text from pg_constraint
where contype = 'f' and conrelid <> confrelid and conparentid = 0
"""
_SEQUENCES = "select format('%I', sequencename), last_value from pg_sequences where last_value is not null"
_LEAVES = "select inhrelid::regclass::text from pg_inherits"
_PATIENCE = "set local lock_timeout = '15s'"


@dataclass(frozen=True, slots=True)
class Seed:
    """What the migrations themselves put into one table."""

    table: str
    content: bytes


class Reset:
    """Empties all tables, and puts back what the migrations had put there."""

    def __init__(self, owner_url: str) -> None:
        self._url = owner_url
        self._connection: psycopg.Connection[Any] = psycopg.connect(owner_url, autocommit=True)
        self._tables: list[tuple[str, bool]] = self._connection.execute(_TABLES).fetchall()
        self._seeds = [Seed(table, self._content(table)) for table in self._in_order(self._filled())]
        self._numbers = self._connection.execute(_SEQUENCES).fetchall()

    def __call__(self) -> None:
        """Raises `psycopg.errors.LockNotAvailable` when a connection of the test still holds a transaction open."""
        self._connect_again_after_a_restart()
        seeds = {seed.table for seed in self._seeds}
        with self._connection.transaction():
            self._connection.execute(_PATIENCE)
            tables = sorted({*self._filled(), *seeds})
            if not tables:
                return
            guarded = [table for table, has_triggers in self._tables if has_triggers]
            self._connection.execute(
                ";".join(
                    [
                        *(f"alter table {table} disable trigger user" for table in guarded),
                        f"truncate {', '.join(tables)} restart identity cascade",
                    ]
                ).encode()
            )
            for seed in self._seeds:
                with self._connection.cursor().copy(f"copy {seed.table} from stdin".encode()) as copy:
                    copy.write(seed.content)
            for sequence, number in self._numbers:
                self._connection.execute("select setval(%s::regclass, %s)", [sequence, number])
            self._connection.execute("set constraints all immediate")
            enabling = ";".join(f"alter table {table} enable trigger user" for table in guarded)
            if enabling:
                self._connection.execute(enabling.encode())

    def close(self) -> None:
        self._connection.close()

    def _connect_again_after_a_restart(self) -> None:
        try:
            self._connection.execute("select 1")
        except psycopg.OperationalError:
            self._connection = psycopg.connect(self._url, autocommit=True)

    def _filled(self) -> list[str]:
        leaves = {row[0] for row in self._connection.execute(_LEAVES)}
        tables = [table for table, _ in self._tables if table not in leaves]
        query = " union all ".join(f"select '{table}' where exists (select 1 from {table})" for table in tables)
        return [row[0] for row in self._connection.execute(query.encode())] if query else []

    def _content(self, table: str) -> bytes:
        with self._connection.cursor().copy(f"copy (select * from {table}) to stdout".encode()) as copy:
            return b"".join(bytes(block) for block in copy)

    def _in_order(self, tables: list[str]) -> list[str]:
        """Tables after those that their foreign keys point to."""
        parents: dict[str, set[str]] = {table: set() for table in tables}
        for child, parent in self._connection.execute(_PARENTS):
            if child in parents and parent in parents:
                parents[child].add(parent)
        ordered: list[str] = []
        while parents:
            free = sorted(table for table, needed in parents.items() if not needed - set(ordered))
            assert free, f"the seeded tables {sorted(parents)} point at each other"
            ordered += free
            for table in free:
                del parents[table]
        return ordered


def owner_url() -> str:
    return settings.MIGRATION_DATABASE_URL or settings.DATABASE_URL


def prepare_given_server(worker: str) -> None:
    """Make the test database on the server that `DATABASE_URL` names, as its owner, and go over to it."""
    from django.core.management import call_command

    connection = connections["default"]
    name = f"test_{connection.settings_dict['NAME']}_{worker}"
    with psycopg.connect(owner_url(), autocommit=True) as owner:
        identifier = sql.Identifier(name)
        owner.execute(sql.SQL("drop database if exists {} with (force)").format(identifier))
        owner.execute(sql.SQL("create database {}").format(identifier))
    connection.close()
    connection.settings_dict["NAME"] = name
    settings.MIGRATION_DATABASE_URL = _with_database(owner_url(), name)
    settings.DATABASE_URL = _with_database(settings.DATABASE_URL, name)
    os.environ.update(DATABASE_URL=settings.DATABASE_URL, MIGRATION_DATABASE_URL=settings.MIGRATION_DATABASE_URL)
    call_command("migrate", verbosity=0, interactive=False)


def _with_database(url: str, name: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{parts.query}" if parts.query else "")
