"""An OpenFGA server to compare with, its storage in the PostgreSQL that our engine is measured on."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import psycopg

from project.bootstrap.openfga import NoServer, find_or_build

_PATIENCE = 60.0
_SCHEMA = "openfga"
# Lists shall be whole, as ours are: nothing is cut off at a number or a time.
_WHOLE = (
    "--listObjects-max-results=0",
    "--listObjects-deadline=120s",
    "--listUsers-max-results=0",
    "--listUsers-deadline=120s",
    "--request-timeout=130s",
    "--http-upstream-timeout=130s",
)


@contextmanager
def openfga_server(database_url: str) -> Iterator[str]:
    """Start one, migrated into a schema of its own, and yield its address. Raises NoServer with the reason."""
    program = str(find_or_build())
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
    parts = urlsplit(database_url)
    uri = parts._replace(scheme="postgres", query=f"{parts.query}&search_path={_SCHEMA}&sslmode=disable").geturl()
    storage = ("--datastore-engine=postgres", f"--datastore-uri={uri}")
    migrated = subprocess.run([program, "migrate", *storage], capture_output=True, text=True, check=False)  # noqa: S603
    if migrated.returncode:
        raise NoServer(f"openfga migrate failed: {(migrated.stderr.strip().splitlines() or ['nothing'])[-1][:300]}")
    http, grpc = _free_port(), _free_port()
    where = (f"--http-addr=127.0.0.1:{http}", f"--grpc-addr=127.0.0.1:{grpc}")
    quiet = ("--metrics-enabled=false", "--playground-enabled=false", "--log-level=error")
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            [program, "run", *where, *storage, *quiet, *_WHOLE], stdout=log, stderr=log, env=dict(os.environ)
        )
        try:
            _wait(f"http://127.0.0.1:{http}", process)
            yield f"http://127.0.0.1:{http}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(f"{address}/healthz", timeout=2):  # noqa: S310 - loopback
            return
        time.sleep(0.1)
    raise NoServer("it was started and does not answer")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
