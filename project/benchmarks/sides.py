"""The two sides of a comparison: child processes that take orders, and the scratch servers that both read from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings

from core.embedded.local import LocalServers

# What a web process has there: a pool, no debug pages, lines of JSON.
_AS_IN_PRODUCTION = {"COUNTINGHOUSE_PROCESS": "web", "DEBUG": "false", "LOG_FORMAT": "json", "LOG_LEVEL": "INFO"}


@contextmanager
def scratch_servers() -> Iterator[dict[str, str]]:
    """Start a PostgreSQL and a Valkey of their own, migrated, and yield the environment that leads to them."""
    with tempfile.TemporaryDirectory(prefix="countinghouse-bench-") as folder:
        servers = LocalServers(Path(folder) / "state")
        environment = {**os.environ, **_AS_IN_PRODUCTION, "RATE_LIMIT_SCALE": "1000000", **servers.attach()}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        try:
            migrate = [sys.executable, str(settings.BASE_DIR / "manage.py"), "migrate", "--verbosity", "0"]
            subprocess.run(migrate, env=environment, check=True)  # noqa: S603 - our own command
            yield environment
        finally:
            servers.release()


class Side:
    """One child process under a settings module; its log goes to a file. `order` sends JSON and returns its answer."""

    def __init__(
        self, settings_module: str, environment: dict[str, str], module: str = "project.benchmarks.worker"
    ) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", module, settings_module],
            env=environment,
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def order(self, **order: Any) -> dict[str, Any]:
        """Raises RuntimeError when the child has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._process.wait(timeout=30)
            self._log.seek(0)
            raise RuntimeError(f"One side of the comparison has ended; it said last:\n{self._log.read()[-4000:]}")
        return dict(json.loads(answer))

    def close(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=30)
        self._log.close()
