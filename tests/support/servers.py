"""PostgreSQL and Valkey for one test process (each xdist worker has its own), on unix sockets in a temporary folder.

The cluster is a copy of a template that was made and migrated once and is kept in `.countinghouse/templates`, keyed by
everything that shapes the schema. Folders that a killed run left behind are swept away by the next run.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from core.embedded import places, postgres
from core.embedded.postgres import APP, OWNER, SUPERUSER, Postgres
from core.embedded.valkey import Valkey

ROOT = Path(__file__).resolve().parent.parent.parent
PREFIX = "countinghouse-test-"
OWNED_BY = "COUNTINGHOUSE_TEST_SERVERS"
_SHAPERS = (
    "*/migrations/*.py", "*/models.py", "*/models/*.py", "*/migration_operations.py", "*/database_roles.py",
    "fga.mod", "*/model.fga", "accounts/permissions/*.py", "accounts/permissions/language/*.py",
)  # fmt: skip
_SPEED = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "64MB",
    "max_connections": "300",
}
_KEEP_TEMPLATES = 4


class Servers:
    """The servers of one test process. Nothing is started before a test asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = Postgres(folder / "postgres", folder, log=folder / "postgres.log", settings=_SPEED)
        self.valkey = Valkey(folder / "valkey", folder, log=folder / "valkey.log")
        self.is_database_given = self.is_valkey_given = False
        self._lock: int | None = None
        self._pid = os.getpid()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead the product, in this process and in its children, to these servers."""
        found = {"CELERY_BROKER_URL": "", "FILES_ROOT": str(self.folder / "files")}
        if not self.is_database_given:
            found |= {"DATABASE_URL": self.postgres.url(APP), "MIGRATION_DATABASE_URL": self.postgres.url(OWNER)}
        if not self.is_valkey_given:
            found["REDIS_URL"] = self.valkey.url
        return found

    @property
    def superuser_url(self) -> str:
        return self.postgres.url(SUPERUSER)

    def open(self) -> None:
        """Make the folder and hold its lock: whoever finds it unlocked may sweep it away."""
        if self._lock is not None:
            return
        sweep()
        self.folder.mkdir(mode=0o700)
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        atexit.register(self.close)

    def close(self) -> None:
        """Stop all and remove the folder. Does nothing in a forked child."""
        if self._lock is None or os.getpid() != self._pid:
            return
        _end(self.postgres.pid, signal.SIGQUIT)
        _end(self.valkey.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)
        self._lock = None

    def start_postgres(self) -> None:
        """Start from the migrated template, which is made first when there is none for the present schema."""
        if self.postgres.is_ready:
            return
        self.open()
        with _locked(_templates() / "lock"):
            template = _templates() / f"migrated-{schema_key()}"
            if not template.exists():
                self._make_template(template)
                return
            os.utime(template)
        _copy(template, self.postgres.kept)
        self.postgres.start()

    def start_valkey(self) -> None:
        if not self.is_valkey_given and not self.valkey.is_ready:
            self.open()
            self.valkey.start()

    def _make_template(self, template: Path) -> None:
        from django.core.management import call_command

        base = _templates() / f"empty-{_digest([postgres.version(), repr(postgres._FIRST)])}"
        if base.exists():
            _copy(base, self.postgres.kept)
            self.postgres.start()
        else:
            self.postgres.create()
            self.postgres.start()
            self.postgres.create_roles()
            self._snapshot(base)
        call_command("migrate", verbosity=0, interactive=False)
        self._snapshot(template)

    def _snapshot(self, target: Path) -> None:
        from django.db import connections

        connections.close_all()
        self.postgres.stop()
        _copy(self.postgres.kept, target)
        for old in sorted(_templates().glob("*-*"), key=lambda path: path.stat().st_mtime)[:-_KEEP_TEMPLATES]:
            shutil.rmtree(old, ignore_errors=True)
        self.postgres.start()


def claim() -> Servers | None:
    """Return the servers of this process and set the environment for them. `DATABASE_URL` and `REDIS_URL` each replace
    one of them by a server that is given. None in a child of a test process: it uses its parent's."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    owner = os.environ.get(OWNED_BY)
    if owner == worker:
        return None
    found = Servers(places.temporary_root() / f"{PREFIX}{secrets.token_hex(4)}")
    found.is_database_given = _is_given("DATABASE_URL", owner)
    found.is_valkey_given = _is_given("REDIS_URL", owner)
    os.environ.update(found.environment)
    os.environ.update(_secrets())
    os.environ[OWNED_BY] = worker
    return found


def _is_given(name: str, owner: str | None) -> bool:
    """Whether a person set the variable `name`, rather than the test process that started this worker."""
    return bool(os.environ.get(name)) and (owner is None or PREFIX not in os.environ[name])


def _secrets() -> dict[str, str]:
    """Return the secrets of tests: the same each time, and worthless."""
    key = base64.b64encode(hashlib.sha256(b"tests").digest()).decode()
    return {
        "COUNTINGHOUSE_ENV": "test",
        "SECRET_KEY": "tests" * 12,
        "ENCRYPTION_KEYS": key,
        "TOKEN_SIGNING_KEYS": key,
    }


def sweep() -> None:
    """Remove the folders of runs that were killed, with their servers."""
    for folder in places.temporary_root().glob(f"{PREFIX}*"):
        try:
            if folder.stat().st_uid != os.geteuid() and os.geteuid() != 0:
                continue
            lock = os.open(folder / "lock", os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            gone = Servers(folder)
            _end(gone.postgres.pid, signal.SIGQUIT)
            _end(gone.valkey.pid, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def schema_key() -> str:
    """Return the key of the present schema: all migrations and models, the settings, the packages."""
    files = [path for shaper in _SHAPERS for path in sorted(ROOT.glob(shaper))]
    files += sorted((ROOT / "project" / "settings").glob("*.py")) + sorted((ROOT / "core" / "embedded").glob("*.py"))
    files += [ROOT / "requirements.txt", ROOT / "core" / "management" / "commands" / "migrate.py"]
    return _digest(
        [part for path in files if path.exists() for part in (str(path.relative_to(ROOT)), path.read_text())]
    )


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _templates() -> Path:
    folder = ROOT / ".countinghouse" / "templates"
    places.state_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    return folder


def _copy(source: Path, target: Path) -> None:
    """Copy a data directory; it appears under its name only when it is whole."""
    fresh = target.with_name(f"{target.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh, symlinks=True, ignore=shutil.ignore_patterns("postmaster.pid"))
    fresh.chmod(0o700)
    fresh.rename(target)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _end(pid: int | None, order: signal.Signals) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, order)
