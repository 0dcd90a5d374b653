"""Holding a job while it runs. Time is the database's, so that no two clocks can disagree."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from uuid import UUID

import structlog
from django.db import DatabaseError, connection

from core.jobs.registry import LeaseLost

LEASE_SECONDS = 30
_BEAT_SECONDS = LEASE_SECONDS / 4

log = structlog.get_logger(__name__)

_RENEW = f"""
UPDATE core_job SET lease_until = clock_timestamp() + interval '{LEASE_SECONDS} seconds'
WHERE id = %s AND token = %s AND state = 'running' RETURNING id
"""  # noqa: S608 - no outside value is put in
_REPORT = f"""
UPDATE core_job SET progress_done = %s, progress_total = coalesce(%s, progress_total), version = version + 1,
    updated_at = clock_timestamp(),
    lease_until = clock_timestamp() + interval '{LEASE_SECONDS} seconds'
WHERE id = %s AND token = %s AND state = 'running' RETURNING id
"""  # noqa: S608 - no outside value is put in


def report(job_id: UUID, token: int, done: int, total: int | None) -> None:
    """Write the progress and renew the lease. Raises `LeaseLost` when a newer token is out."""
    with connection.cursor() as cursor:
        cursor.execute(_REPORT, [done, total, job_id, token])
        if cursor.fetchone() is None:
            raise LeaseLost


class Heartbeat:
    """Renews the lease beside the handler, on a connection of its own, until the attempt's time is up: an attempt
    that hangs longer loses its lease, and the relay gives the job to another."""

    def __init__(self, job_id: UUID, token: int, time_limit: int) -> None:
        self._job_id, self._token = job_id, token
        self._ends = time.monotonic() + time_limit
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{job_id}", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _beat(self) -> None:
        try:
            while not self._stop.wait(_BEAT_SECONDS) and time.monotonic() < self._ends:
                if not self._renew():
                    return
        finally:
            connection.close()

    def _renew(self) -> bool:
        try:
            with connection.cursor() as cursor:
                cursor.execute(_RENEW, [self._job_id, self._token])
                return cursor.fetchone() is not None
        except DatabaseError as fault:
            log.warning("heartbeat_missed", job_id=str(self._job_id), fault=str(fault))
            connection.close()
            return True
