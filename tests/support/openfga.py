"""A real OpenFGA server for a test, with storage in memory. COUNTINGHOUSE_OPENFGA names its program (`openfga`).

def test_answers_alike(openfga: OpenFGA) -> None:
    store = openfga.store(model)
    store.write(tuples)
    store.ask("expand", {"tuple_key": {"object": "document:1", "relation": "viewer"}})
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accounts.permissions.language import Model, to_json
from accounts.permissions.tuples import Tuple
from tests.support.processes import Running, free_port

PROGRAM = "COUNTINGHOUSE_OPENFGA"
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


@pytest.fixture(scope="session")
def openfga() -> Iterator[OpenFGA]:
    """One server for all tests of this process."""
    program = os.environ.get(PROGRAM, "")
    if not program:
        pytest.skip(f"{PROGRAM} names no OpenFGA server")
    http, grpc = free_port(), free_port()
    command = [
        program,
        "run",
        f"--http-addr=127.0.0.1:{http}",
        f"--grpc-addr=127.0.0.1:{grpc}",
        "--metrics-enabled=false",
        "--playground-enabled=false",
        "--log-level=error",
    ]
    with tempfile.TemporaryDirectory(prefix="countinghouse-openfga-") as folder:
        running = Running("openfga", command, environment=os.environ, log=Path(folder, "log"))
        try:
            _wait_until_healthy(f"http://127.0.0.1:{http}", running)
            yield OpenFGA(f"http://127.0.0.1:{http}")
        finally:
            running.stop()


def _wait_until_healthy(address: str, running: Running) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and running.is_alive:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"OpenFGA did not start:\n{running.text[-2000:]}")
