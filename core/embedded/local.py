"""The servers of one clone, shared by all its commands: `dev`, and whatever runs in a second terminal.

Whoever comes first starts them, whoever ends last stops them. A command that uses them holds a shared lock, which the
system frees even when the process is killed; the one that gets it for itself alone is the last.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from core.embedded import places
from core.embedded.places import locked
from core.embedded.postgres import APP, OWNER, Postgres
from core.embedded.valkey import Valkey

ROOT = Path(__file__).resolve().parent.parent.parent
STATE = ROOT / ".countinghouse"
SOCKETS_PREFIX = "countinghouse-"


class LocalServers:
    """The embedded servers whose state is in `state`."""

    def __init__(self, state: Path = STATE) -> None:
        self.state = state
        self.is_fresh = False
        self._users: Any = None
        self._pid = os.getpid()

    # Using them

    def attach(self, *, postgres: bool = True, valkey: bool = True) -> dict[str, str]:
        """Start what does not run yet and return the variables that lead to it."""
        places.state_folder(self.state)
        (self.state / "log").mkdir(exist_ok=True)
        self._users = (self.state / "users.lock").open("w")
        fcntl.flock(self._users, fcntl.LOCK_SH)
        atexit.register(self.release)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _leave)  # by the front door, so that `release` runs
        with locked(self.state / "start.lock"):
            sockets = self._sockets()
            variables: dict[str, str] = {}
            if postgres:
                variables |= self._start_postgres(sockets)
            if valkey:
                server = self.valkey(sockets)
                server.start()
                variables["REDIS_URL"] = server.url
            self._write_state(sockets)
        return variables

    def release(self) -> None:
        """Stop using them; the last one stops them. Does nothing in a forked child."""
        if self._users is None or os.getpid() != self._pid:
            return
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.stop()
        except BlockingIOError:
            pass
        finally:
            self._users.close()
            self._users = None

    def stop(self) -> None:
        """Stop them, whoever started them."""
        folder = self._state().get("sockets")
        if not folder or not Path(folder).is_dir():
            return
        self.valkey(Path(folder)).stop()
        self.postgres(Path(folder)).stop()
        shutil.rmtree(folder, ignore_errors=True)
        (self.state / "state.json").unlink(missing_ok=True)

    def is_used(self) -> bool:
        """Whether another process uses them now."""
        places.state_folder(self.state)
        with (self.state / "users.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    # What they are

    def postgres(self, sockets: Path) -> Postgres:
        return Postgres(self.state / "postgres", sockets, log=self.state / "log" / "postgres.log")

    def valkey(self, sockets: Path) -> Valkey:
        return Valkey(self.state / "valkey", sockets, log=self.state / "log" / "valkey.log", is_durable=True)

    def _start_postgres(self, sockets: Path) -> dict[str, str]:
        server = self.postgres(sockets)
        if not server.is_created or not (self.state / "postgres.complete").exists():
            if server.pid is None:
                shutil.rmtree(server.kept, ignore_errors=True)  # half made by a first start that was broken off
                server.create()
            server.start()
            server.create_roles()
            (self.state / "postgres.complete").touch()
            self.is_fresh = True
        server.start()
        return {"DATABASE_URL": server.url(APP), "MIGRATION_DATABASE_URL": server.url(OWNER)}

    # What is written down

    def _state(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.state / "state.json").read_text()))
        except (OSError, ValueError):
            return {}

    def _sockets(self) -> Path:
        folder = Path(self._state().get("sockets") or "/nonexistent")
        return folder if folder.is_dir() else places.short_folder(SOCKETS_PREFIX)

    def _write_state(self, sockets: Path) -> None:
        state = {
            "sockets": str(sockets),
            "postgres_pid": self.postgres(sockets).pid,
            "valkey_pid": self.valkey(sockets).pid,
        }
        (self.state / "state.json").write_text(json.dumps(state, indent=1))


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)
