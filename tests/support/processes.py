"""Real processes against the servers of the test: web, worker, relay, to be asked, watched and killed.

    def test_survives(processes):
        web = processes.web()
        worker, relay = processes.worker(), processes.relay()
        worker.kill()          # SIGKILL, as a power cut
        processes.worker()     # another one

Tests that use them commit for real: `@pytest.mark.django_db(transaction=True)`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 40.0


class Running:
    """One process with its log."""

    def __init__(self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                list(command),
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    @property
    def children(self) -> list[int]:
        """The ids of the processes that it started, the oldest first (the pool of a worker, the workers of the web)."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return sorted(child.pid for child in psutil.Process(self.process.pid).children())
        return []

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """End it and its children at once (SIGKILL to the whole group): nothing is tidied up."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            while True:  # until its children are gone too
                os.killpg(self.process.pid, signal.SIGKILL)
                time.sleep(0.005)

    def stop(self, patience: float = 30) -> int:
        """Ask it to stop (SIGTERM) and return its exit code. Raises AssertionError when it does not."""
        self.process.terminate()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {patience} s:\n{self.text[-2000:]}") from None

    def wait_until(self, is_so: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        """Wait for `is_so()`. Raises AssertionError with the end of the log when it ends or takes too long."""
        deadline = time.monotonic() + patience
        while not is_so():
            if not self.is_alive or time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: {what} did not come:\n{self.text[-3000:]}")
            time.sleep(0.05)


class Web(Running):
    """The web server; `url` is where it answers."""

    url: str = ""


class Processes:
    """Starts processes of the product; `close` ends all that still run. Logs lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[Running] = []
        self._metrics = folder / "metrics"
        self._metrics.mkdir(parents=True, exist_ok=True)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment for children: the servers of this test, the product's own settings."""
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "PROMETHEUS_MULTIPROC_DIR": str(self._metrics),
            "PYTHONUNBUFFERED": "1",
            **more,
        }

    def web(self, *, workers: int = 1, threads: int = 4, port: int = 0, **variables: str) -> Web:
        """Start granian on `port` (a free one) and wait until it is ready. `variables` go into its environment."""
        port = port or free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--workers", str(workers), "--blocking-threads", str(threads), "--log-level", "warning"]
        command += ["--workers-kill-timeout", "10", "--respawn-failed-workers", "project.wsgi:application"]
        web = Web(
            "web",
            command,
            environment=self.environment(COUNTINGHOUSE_PROCESS="web", PUBLIC_URL=url, **variables),
            log=self._log("web"),
        )
        web.url = url
        self.running.append(web)
        web.wait_until(lambda: _answers(f"{url}/health/ready"), "readiness")
        return web

    def streams(self, *, port: int = 0, workers: int = 1, **variables: str) -> Web:
        """Start the process of the live streams on `port` (a free one) and wait until it is ready."""
        port = port or free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "manage.py", "streams", "--port", str(port), "--workers", str(workers)]
        running = Web("streams", command, environment=self.environment(**variables), log=self._log("streams"))
        running.url = url
        self.running.append(running)
        running.wait_until(lambda: _answers(f"{url}/health/ready"), "readiness")
        return running

    def worker(self, *, concurrency: int = 2, **variables: str) -> Running:
        """Start a Celery worker and wait until it takes work."""
        worker = self.starting_worker(concurrency=concurrency, **variables)
        worker.wait_until(lambda: " ready." in worker.text, "readiness")
        return worker

    def starting_worker(self, *, concurrency: int = 2, **variables: str) -> Running:
        """Start a Celery worker."""
        command = [sys.executable, "-m", "celery", "-A", "project.celery", "worker", "--loglevel", "info"]
        command += ["--concurrency", str(concurrency), "--without-mingle", "--without-gossip"]
        return self._start("worker", command, variables)

    def relay(self, **variables: str) -> Running:
        """Start a relay and wait until it runs."""
        relay = self._start("relay", [sys.executable, "manage.py", "relay"], variables)
        relay.wait_until(lambda: "relay_started" in relay.text, "readiness")
        return relay

    def command(self, *arguments: str, **variables: str) -> Running:
        """Start `manage.py arguments` in the background."""
        return self._start(arguments[0], [sys.executable, "manage.py", *arguments], variables)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `manage.py arguments` to its end; its output and code are on the result."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            check=False,
        )

    def close(self) -> None:
        for each in self.running:
            if each.is_alive:
                each.kill()

    def _start(self, name: str, command: list[str], variables: Mapping[str, str]) -> Running:
        running = Running(name, command, environment=self.environment(**variables), log=self._log(name))
        self.running.append(running)
        return running

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}-{len(self.running)}.log"


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
