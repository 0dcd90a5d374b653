"""The engine's functions are those of its module, in the database too."""

from __future__ import annotations

from django.db.migrations.loader import MigrationLoader

from accounts.permissions import functions


def test_makes_the_functions_anew_by_a_migration_when_they_change() -> None:
    loader = MigrationLoader(None)
    days = [
        operation.of_day
        for _, name in sorted(key for key in loader.disk_migrations if key[0] == "accounts")
        for operation in loader.disk_migrations["accounts", name].operations
        if isinstance(operation, functions.MakeEngine)
    ]
    assert days[-1] == functions.digest(), f'add a migration with MakeEngine("{functions.digest()}")'
