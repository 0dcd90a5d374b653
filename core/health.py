"""Is the house well? Probes, registered once, asked by the health routes and by `manage.py doctor`.

    @probe("database", gates=True)
    def database() -> Finding: ...

Only a probe that `gates` takes the process out of service; everything else degrades. A probe that raises has failed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from core import redis

ANSWER_SECONDS = 3.0
CACHE_SECONDS = 5.0
MEMORY_WARNING_PERCENT = 90


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found. `detail` is for people; `inner` (versions, addresses) is shown to the trusted only."""

    status: Status = Status.OK
    detail: str = ""
    inner: dict[str, Any] = field(default_factory=dict)
    milliseconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Probe:
    name: str
    ask: Callable[[], Finding]
    gates: bool


probes: dict[str, Probe] = {}


def probe(name: str, *, gates: bool = False) -> Callable[[Callable[[], Finding]], Callable[[], Finding]]:
    """Register a probe under `name`. `gates`: the process is not ready while it fails."""

    def register(function: Callable[[], Finding]) -> Callable[[], Finding]:
        probes[name] = Probe(name, function, gates)
        return function

    return register


# --- asking ---

_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="health")
_running: dict[str, Future[Finding]] = {}
_kept: dict[str, tuple[float, Finding]] = {}
_lock = threading.Lock()


def ask(names: Iterable[str] | None = None, *, max_age: float = CACHE_SECONDS) -> dict[str, Finding]:
    """Return what the probes find (all, or those named), each asked at most once in `max_age` seconds and given up
    after three. A probe that still hangs is not asked a second time meanwhile."""
    wanted = [probes[name] for name in (names if names is not None else probes)]
    with _lock:
        fresh = time.monotonic() - max_age
        pending = [each for each in wanted if _kept.get(each.name, (float("-inf"), None))[0] < fresh or max_age <= 0]
        for each in pending:
            if each.name not in _running or _running[each.name].done():
                _running[each.name] = _threads.submit(_ask_one, each)
        futures = {each.name: _running[each.name] for each in pending}
    deadline = time.monotonic() + ANSWER_SECONDS
    for name, future in futures.items():
        try:
            found = future.result(timeout=max(0.0, deadline - time.monotonic()))
        except Late:
            found = Finding(Status.FAILED, f"No answer within {ANSWER_SECONDS:.0f} seconds.")
        _kept[name] = (time.monotonic(), found)
    return {each.name: _kept[each.name][1] for each in wanted}


def _ask_one(each: Probe) -> Finding:
    started = time.perf_counter()
    try:
        found = each.ask()
    except Exception as fault:  # a probe that raises has failed, whatever it raised
        found = Finding(Status.FAILED, type(fault).__name__, {"fault": str(fault)[:300]})
    finally:
        connections.close_all()
    return replace(found, milliseconds=round((time.perf_counter() - started) * 1000, 2))


def forget() -> None:
    """Drop what was found, so that the next question is asked anew."""
    _kept.clear()


# --- what every process stands on ---


@probe("database", gates=True)
def database() -> Finding:
    """PostgreSQL answers a query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version')")
        return Finding(inner={"version": cursor.fetchone()[0]})


_is_migrated = False


@probe("migrations", gates=True)
def migrations() -> Finding:
    """No migration is pending. Once that is so it stays so for the life of the process."""
    global _is_migrated
    if _is_migrated:
        return Finding()
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        names = [f"{migration.app_label}.{migration.name}" for migration, _ in pending]
        return Finding(Status.FAILED, f"{len(names)} migrations are pending.", {"pending": names[:20]})
    _is_migrated = True
    return Finding()


@probe("cache")
def cache() -> Finding:
    """Redis or Valkey answers."""
    info: dict[str, Any] = redis.client().info("server")
    version = info.get("valkey_version") or info.get("redis_version")
    return Finding(inner={"version": version, "server": info.get("server_name", "redis")})


@probe("broker")
def broker() -> Finding:
    """The broker of the jobs takes connections."""
    url: str = getattr(settings, "CELERY_BROKER_URL", "") or ""
    if not url or url.startswith("unix:"):
        redis.client().ping()
        return Finding(inner={"transport": "redis"})
    from kombu import Connection

    with Connection(url, connect_timeout=2, transport_options={"socket_connect_timeout": 1, "max_retries": 0}) as link:
        link.ensure_connection(max_retries=1, timeout=2)
        return Finding(inner={"transport": str(link.transport.driver_type)})


@probe("memory")
def memory() -> Finding:
    """Memory in use of what this process may have: the container's when there is one, else the machine's."""
    percent = _container_percent()
    if percent is None:
        percent = psutil.virtual_memory().percent
    if percent > MEMORY_WARNING_PERCENT:
        return Finding(Status.WARNING, f"{percent:.0f} % of the memory is in use.", {"percent": round(percent, 1)})
    return Finding(inner={"percent": round(percent, 1)})


def _container_percent(folder: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the use of a control group (version 2) with a limit, without what the page cache could give back."""
    try:
        most = (folder / "memory.max").read_text().strip()
        if most == "max":
            return None
        used = int((folder / "memory.current").read_text())
        lines = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
        reclaimable = next((int(value) for name, value in lines if name == "inactive_file"), 0)
        return 100 * (used - reclaimable) / int(most)
    except (OSError, ValueError, ZeroDivisionError):
        return None
