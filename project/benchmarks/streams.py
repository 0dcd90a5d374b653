"""What live streams cost: memory and queries while they are idle, and how soon a commit arrives.

The process is the product's own (`manage.py streams`), on scratch servers; the readers are sockets of this process.
"""

from __future__ import annotations

import asyncio
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

import psutil
from django.conf import settings
from django.core.management.base import CommandError

from project.benchmarks.sides import Side, scratch_servers
from project.management.commands.streams import raise_file_limit

_EACH = 10  # streams of one person
_AT_ONCE = 20  # people whose tickets are issued together: tickets are good for a minute
_NEWS = 200
_IDLE_SECONDS = 20.0
_REQUESTS = 200
_QUERIES = re.compile(r"^database_query_duration_seconds_count\{.*\} (\S+)$", re.MULTILINE)

Say = Callable[[str], object]


def measure(count: int, *, say: Say) -> dict[str, float]:
    """Open `count` streams and return the figures, by name: megabytes, milliseconds, queries per second."""
    raise_file_limit(count + 1000)
    with ExitStack() as stack:
        environment = stack.enter_context(scratch_servers())
        port, web_port = _free_port(), _free_port()
        environment |= {
            "STREAMS_URL": f"http://127.0.0.1:{port}",
            "STREAMS_PER_PROCESS": str(count + 100),
            "PROMETHEUS_MULTIPROC_DIR": stack.enter_context(_folder()),
            "LOG_LEVEL": "WARNING",
        }
        worker = stack.enter_context(closing(Side("project.settings", environment, "project.benchmarks.stream_worker")))
        streams = [sys.executable, str(settings.BASE_DIR / "manage.py"), "streams", "--port", str(port)]
        process = stack.enter_context(_running(streams, environment, port))
        web = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(web_port), "--log-level", "error"]
        web += ["--blocking-threads", "4", "project.wsgi:application"]
        stack.enter_context(_running(web, environment, web_port))
        people = -(-count // _EACH)
        token = worker.order(do="people", count=people)["token"]
        return asyncio.run(_measure(count, people, worker, process, f"http://127.0.0.1:{web_port}", token, say))


async def _measure(
    count: int, people: int, worker: Side, process: psutil.Process, web: str, token: str, say: Say
) -> dict[str, float]:
    found: dict[str, float] = {"memory_before_mb": _megabytes(process)}
    before = await asyncio.to_thread(_request_times, web, token)
    readers: list[_Reader] = []
    say(f"Opening {count} streams ...")
    began = time.monotonic()
    for first in range(0, people, _AT_ONCE):
        urls = worker.order(do="tickets", first=first, count=_AT_ONCE, each=_EACH)["urls"]
        urls = urls[: count - len(readers)]
        readers += await asyncio.gather(*(_Reader.open(url) for url in urls))
    found["opening_seconds"] = time.monotonic() - began
    found["memory_mb"] = _megabytes(process)
    found["kilobytes_per_stream"] = (found["memory_mb"] - found["memory_before_mb"]) * 1000 / count
    say("Watching them idle ...")
    queries, cpu = _queries(web), _cpu(process)
    await asyncio.sleep(_IDLE_SECONDS)
    found["idle_queries_per_second"] = (_queries(web) - queries) / _IDLE_SECONDS
    found["idle_cpu_percent"] = (_cpu(process) - cpu) / _IDLE_SECONDS * 100
    say("Telling news ...")
    found |= _spread("commit_to_message", await _delays(worker, readers, people))
    found |= _spread("request_without_streams", before)
    found |= _spread("request_beside_streams", await asyncio.to_thread(_request_times, web, token))
    found["memory_at_the_end_mb"] = _megabytes(process)
    say("Stopping ...")
    began = time.monotonic()
    process.terminate()
    await asyncio.gather(*(reader.task for reader in readers))
    found["stop_seconds"] = time.monotonic() - began
    return {name: round(value, 2) for name, value in found.items()}


class _Reader:
    """One socket that notes when messages arrive."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.arrived: asyncio.Queue[float] = asyncio.Queue()
        self.task = asyncio.ensure_future(self._follow())

    @classmethod
    async def open(cls, url: str) -> _Reader:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=4096)
        writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise CommandError(f"A stream was refused: {status.decode().strip()}")
        while b"event: ready" not in await reader.readline():
            pass
        return cls(reader, writer)

    async def _follow(self) -> None:
        while line := await self.reader.readline():
            if line.startswith(b"event: notification"):
                self.arrived.put_nowait(time.monotonic())


async def _delays(worker: Side, readers: list[_Reader], people: int) -> list[float]:
    """Return the seconds from the commit of a row to its message, on all streams of the person whom it is told."""
    delays = []
    for number in range(_NEWS):
        person = number * 7 % people
        told = await asyncio.to_thread(worker.order, do="tell", person=person)
        for reader in readers[person * _EACH : (person + 1) * _EACH]:
            delays.append(max(0.0, await asyncio.wait_for(reader.arrived.get(), 30) - told["at"]))
    return delays


def _request_times(web: str, token: str) -> list[float]:
    """Return the seconds that ordinary requests take on the web server, one after another."""
    times = []
    request = urllib.request.Request(f"{web}/api/v1/me", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    for _ in range(_REQUESTS):
        began = time.monotonic()
        with urllib.request.urlopen(request) as reply:  # noqa: S310 - our own address
            reply.read()
        times.append(time.monotonic() - began)
    return times


def _spread(name: str, seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {f"{name}_p50_ms": cuts[49] * 1000, f"{name}_p95_ms": cuts[94] * 1000}


def _queries(web: str) -> float:
    """Return how many queries all processes have made, by their figures."""
    with urllib.request.urlopen(f"{web}/metrics") as reply:  # noqa: S310 - our own address
        return sum(float(number) for number in _QUERIES.findall(reply.read().decode()))


def _megabytes(process: psutil.Process) -> float:
    """Return the resident memory of the process that serves the streams (the child of the one that was started)."""
    return float(sum(child.memory_info().rss for child in process.children())) / 1e6


def _cpu(process: psutil.Process) -> float:
    return float(sum(sum(child.cpu_times()[:2]) for child in process.children()))


@contextmanager
def _running(command: list[str], environment: dict[str, str], port: int) -> Iterator[psutil.Process]:
    """Run a server and wait until it is ready. Raises CommandError when it is not within half a minute."""
    with subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL) as child:  # noqa: S603
        try:
            deadline = time.monotonic() + 30
            while not _is_ready(port):
                if time.monotonic() > deadline or child.poll() is not None:
                    raise CommandError(f"{command[2]} did not become ready.")
                time.sleep(0.1)
            yield psutil.Process(child.pid)
        finally:
            child.terminate()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@contextmanager
def _folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="countinghouse-figures-") as folder:
        yield folder


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])
