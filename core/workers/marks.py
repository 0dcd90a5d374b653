"""The marks of the workers: who lives, as PostgreSQL knows it. Asked by `/health`, `manage.py doctor`, `worker_alive`
and `dev`; written while the worker's own message loop turns (`core.workers.watch`): one that stands still is silent."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import psutil
from django.db import connection, transaction

from core.health import Finding, Status, probe
from core.models import WorkerMark
from core.relay.duties import duty
from core.relay.lease import HeldLease

BEAT_SECONDS = 5.0
SILENT_SECONDS = 30.0  # a mark older than this is no sign of life

_WRITE = """
INSERT INTO core_workermark (host, pid, started_at, beat_at)
VALUES (%s, %s, clock_timestamp(), clock_timestamp())
ON CONFLICT (host, pid) DO UPDATE SET beat_at = clock_timestamp()
"""
_AGES = "SELECT host, pid, extract(epoch FROM clock_timestamp() - beat_at)::float8 FROM core_workermark"


@dataclass(frozen=True, slots=True)
class Mark:
    """A worker process and how long ago its loop last turned (seconds)."""

    host: str
    pid: int
    seconds: float

    @property
    def is_silent(self) -> bool:
        return self.seconds > SILENT_SECONDS


def this_host() -> str:
    """Return the name under which workers of this machine or container are written down."""
    return socket.gethostname()[:100]


def write(pid: int) -> None:
    """Write that the worker `pid` of this host lives."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [this_host(), pid])


def forget(pid: int) -> None:
    """Delete the mark of the worker `pid` of this host, at a clean stop."""
    WorkerMark.objects.filter(host=this_host(), pid=pid).delete()


def forget_dead() -> None:
    """Delete the marks of processes of this host that are no more: whoever starts a worker anew has noticed."""
    for mark in WorkerMark.objects.filter(host=this_host()):
        if not psutil.pid_exists(mark.pid):
            mark.delete()


def marks(host: str | None = None) -> list[Mark]:
    """Return all marks, or those of one host."""
    with connection.cursor() as cursor:
        cursor.execute(_AGES)
        found = [Mark(*row) for row in cursor.fetchall()]
    return [mark for mark in found if host in (None, mark.host)]


def is_silent(pid: int) -> bool:
    """Whether the worker `pid` of this host was at work once and is silent now."""
    return any(mark.pid == pid and mark.is_silent for mark in marks(this_host()))


@probe("workers")
def workers() -> Finding:
    """A worker lives, and none has gone silent."""
    found = marks()
    silent = [mark for mark in found if mark.is_silent]
    inner = {"alive": len(found) - len(silent), "silent": [f"{mark.host}:{mark.pid}" for mark in silent][:20]}
    if len(silent) == len(found):
        return Finding(Status.WARNING, "No worker is alive: jobs wait.", inner)
    if silent:
        return Finding(Status.WARNING, f"{len(silent)} of {len(found)} workers went silent.", inner)
    return Finding(inner=inner)


@duty("worker marks", every=60, order=97)
def forget_gone(lease: HeldLease) -> int:
    """Delete the marks of workers that were killed and never came back under the same name."""
    with transaction.atomic(), connection.cursor() as cursor:
        lease.hold()
        cursor.execute("DELETE FROM core_workermark WHERE beat_at < clock_timestamp() - interval '15 minutes'")
        return cursor.rowcount
