"""A real OpenFGA server for a test, with storage in memory: `manage.py test --services openfga` brings its program, or
COUNTINGHOUSE_OPENFGA names it.

def test_answers_alike(openfga: OpenFGA) -> None:
    store = openfga.store(model)
    store.write(tuples)
    store.ask("expand", {"tuple_key": {"object": "document:1", "relation": "viewer"}})
"""

from __future__ import annotations

import json
import os
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accounts.permissions.language import Model, to_json
from accounts.permissions.tuples import Tuple
from tests.support.processes import Running, free_port

PROGRAM = "COUNTINGHOUSE_OPENFGA"
MISSING = "COUNTINGHOUSE_OPENFGA_MISSING"
ASKED = "asked OpenFGA"  # the property of a test that asked a server
_PATIENCE = 30.0


class OpenFGARefused(RuntimeError):
    """The server's answer was an error; `code` is the name that it gives, such as `relation_not_found`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code = status, code
        super().__init__(f"{status} {code}: {message}")


@dataclass(frozen=True, slots=True)
class OpenFGA:
    """A server that runs."""

    address: str

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a request. Raises OpenFGARefused."""
        request = urllib.request.Request(f"{self.address}{path}", json.dumps(body).encode(), method="POST")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            said = json.load(error)
            raise OpenFGARefused(error.code, said.get("code", ""), said.get("message", "")) from error

    def store(self, model: Model) -> Store:
        """Return a new store with a model."""
        number = self.post("/stores", {"name": "test"})["id"]
        made = self.post(f"/stores/{number}/authorization-models", to_json(model))
        return Store(self, number, made["authorization_model_id"])


@dataclass(frozen=True, slots=True)
class Store:
    """A store of the server."""

    server: OpenFGA
    number: str
    model: str

    def write(self, written: Sequence[Tuple]) -> None:
        """Store tuples, a hundred at a time as the server takes them."""
        for start in range(0, len(written), 100):
            keys = [_key(one) for one in written[start : start + 100]]
            self.ask("write", {"writes": {"tuple_keys": keys}})

    def ask(self, question: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask `check`, `expand`, `list-objects` ... by this store's model."""
        return self.server.post(f"/stores/{self.number}/{question}", {"authorization_model_id": self.model, **body})


def _key(one: Tuple) -> dict[str, Any]:
    key: dict[str, Any] = {"user": str(one.subject), "relation": one.relation, "object": str(one.object)}
    if one.condition:
        key["condition"] = {"name": one.condition, "context": dict(one.context or {})}
    return key


def start(folder: Path, *, port: int = 0, ca_file: str = "", **options: str) -> tuple[OpenFGA, Running]:
    """Start a server with storage in memory (and `options`) and wait for it; with `ca_file` it speaks TLS. Skips
    the test where there is no program."""
    program = os.environ.get(PROGRAM, "")
    if not program:
        reason = os.environ.get(MISSING)
        pytest.skip(f"No OpenFGA server: {reason}" if reason else "asks an OpenFGA server: test --services openfga")
    http, grpc = port or free_port(), free_port()
    address = f"{'https' if ca_file else 'http'}://127.0.0.1:{http}"
    command = [
        program,
        "run",
        f"--http-addr=127.0.0.1:{http}",
        f"--grpc-addr=127.0.0.1:{grpc}",
        "--metrics-enabled=false",
        "--playground-enabled=false",
        "--log-level=error",
        *(f"--{name.replace('_', '-')}={value}" for name, value in options.items()),
    ]
    running = Running("openfga", command, environment=os.environ, log=folder / "log")
    try:
        _wait_until_healthy(address, running, ssl.create_default_context(cafile=ca_file) if ca_file else None)
    except AssertionError:
        running.kill()
        raise
    return OpenFGA(address), running


@pytest.fixture(scope="session")
def openfga_server() -> Iterator[OpenFGA]:
    """One server for all tests of this process."""
    with tempfile.TemporaryDirectory(prefix="countinghouse-openfga-") as folder:
        server, running = start(Path(folder))
        try:
            yield server
        finally:
            running.stop()


@pytest.fixture
def openfga(openfga_server: OpenFGA, record_property: Callable[[str, object], None]) -> OpenFGA:
    """The server of this process; the test is counted among those that asked one."""
    record_property(ASKED, True)
    return openfga_server


def _wait_until_healthy(address: str, running: Running, context: ssl.SSLContext | None) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and running.is_alive:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=2, context=context):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"OpenFGA did not start:\n{running.text[-2000:]}")
