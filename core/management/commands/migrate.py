"""`manage.py migrate`: as the owner of the tables; then the product's role is granted what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections

from core.database_roles import grant
from core.databases import database


class Command(Migrate):
    help = "Migrate as the owner (MIGRATION_DATABASE_URL), then grant the product's role (DATABASE_URL) its rights."

    def handle(self, *args: Any, **options: Any) -> None:
        alias = options["database"]
        role = connections[alias].settings_dict["USER"]
        with as_owner(alias):
            super().handle(*args, **options)
            if role and role != connections[alias].settings_dict["USER"] and not options["plan"]:
                grant(connections[alias], role)


@contextmanager
def as_owner(alias: str = "default") -> Iterator[None]:
    """Connect as the owner of the tables inside the block, where `MIGRATION_DATABASE_URL` names one."""
    connection = connections[alias]
    if not settings.MIGRATION_DATABASE_URL:
        yield
        return
    before = connection.settings_dict.copy()
    _close(connection)
    connection.settings_dict.update(database(settings.MIGRATION_DATABASE_URL))
    try:
        yield
    finally:
        _close(connection)
        connection.settings_dict.clear()
        connection.settings_dict.update(before)


def _close(connection: Any) -> None:
    connection.close()
    connection.close_pool()
