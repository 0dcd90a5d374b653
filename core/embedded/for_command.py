"""What `manage.py` does before a command: it brings the servers that the environment does not name."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping

from core.embedded import only_one
from core.embedded.local import LocalServers

# Commands that ask nothing of a server. (`test` brings its own.)
_ALONE = frozenset({
    "bench", "check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "help", "makemessages",
    "reference", "spectacular", "startapp", "startproject", "test", "version", "--help", "-h", "--version",
})  # fmt: skip
# Commands for which an empty database is no surprise.
_BEFORE_MIGRATION = frozenset({"dbshell", "dev", "doctor", "makemigrations", "migrate", "showmigrations", "sqlmigrate"})


def is_given(environment: Mapping[str, str], name: str) -> bool:
    return bool(environment.get(name) or environment.get(f"{name}_FILE"))


def serve(argv: list[str], environment: MutableMapping[str, str] | None = None) -> None:
    """Give `manage.py` the servers that the environment does not name, for as long as the command runs.

    Does nothing in production, where they are named, and for commands that need none.
    """
    environment = os.environ if environment is None else environment
    command = argv[1] if len(argv) > 1 else "help"
    if command in _ALONE or "--help" in argv or environment.get("COUNTINGHOUSE_ENV") == "production":
        return
    if command == "dev":
        only_one.claim(argv)
    else:
        for name, address in only_one.addresses().items():
            environment.setdefault(name, address)
    wants_postgres = not is_given(environment, "DATABASE_URL")
    wants_valkey = not is_given(environment, "REDIS_URL")
    if not wants_postgres and not wants_valkey:
        return
    servers = LocalServers()
    environment.update(servers.attach(postgres=wants_postgres, valkey=wants_valkey))
    if servers.is_fresh and command not in _BEFORE_MIGRATION:
        sys.stderr.write("The database is new: migrating it first.\n")
        _migrate()


def _migrate() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
