"""A worker never stands still: when its message loop does not turn, or turns and takes nothing, the process ends.

Nothing is lost by that: a running job's lease ends with its process, and the relay hands it to another. Whoever keeps
the worker (`manage.py dev`, a container's restart policy, systemd) starts it anew. Two threads look on, since either
PostgreSQL or the broker may be what hangs: one judges, one writes the mark that others read (`core.workers.marks`).
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import structlog
from celery.signals import worker_shutting_down
from celery.worker import state
from django.db import DatabaseError, InterfaceError, connection

from core.jobs import publishing
from core.workers import marks

LOOK_SECONDS = 5.0
STANDING_SECONDS = 30.0  # the broker answers for so long, and the loop does not turn
DEAF_SECONDS = 60.0  # messages wait for so long, and the idle worker takes none
EXIT_CODE = 70  # EX_SOFTWARE

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Judge:
    """Decides from one look after another whether a worker stands still. Moments are monotonic seconds."""

    standing_since: float | None = None
    deaf_since: float | None = None

    def look(self, now: float, *, has_beaten: bool, is_idle: bool, waiting: int | None) -> str:
        """Return why the worker should end, or nothing. `waiting` is the number of messages in its queues, None when
        the broker does not answer: then it waits for the broker, which is no fault of its own."""
        is_standing = not has_beaten and waiting is not None
        is_deaf = has_beaten and is_idle and bool(waiting)
        self.standing_since = (now if self.standing_since is None else self.standing_since) if is_standing else None
        self.deaf_since = (now if self.deaf_since is None else self.deaf_since) if is_deaf else None
        if self.standing_since is not None and now - self.standing_since >= STANDING_SECONDS:
            return "its message loop stands still"
        if self.deaf_since is not None and now - self.deaf_since >= DEAF_SECONDS:
            return "messages wait and it takes none"
        return ""


class Watch:
    """Looks on from `start` until the worker is told to stop. The loop calls `beat` each second."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._beat_at = time.monotonic()
        self._accepted = 0
        self._stop = threading.Event()
        self._is_started = False

    def beat(self) -> None:
        """Say that the loop turns."""
        self._beat_at = time.monotonic()

    def start(self) -> None:
        """Start to look on, after the pool's processes were made: a fork copies locks that other threads hold."""
        if self._is_started:
            return
        self._is_started = True
        self.beat()
        worker_shutting_down.connect(self._leave, weak=False)
        for target in (self._judge, self._mark):
            threading.Thread(target=target, name=f"worker-{target.__name__.strip('_')}", daemon=True).start()

    def _leave(self, **_: Any) -> None:
        """A worker that was told to stop ends its jobs first; how long it may is up to whoever told it."""
        self._stop.set()

    @property
    def _has_beaten(self) -> bool:
        return time.monotonic() - self._beat_at < 2 * LOOK_SECONDS

    def _judge(self) -> None:
        judge = Judge()
        while not self._stop.wait(LOOK_SECONDS):
            has_beaten, is_idle = self._has_beaten, self._is_idle()
            waiting = self._waiting() if is_idle or not has_beaten else None
            reason = judge.look(time.monotonic(), has_beaten=has_beaten, is_idle=is_idle, waiting=waiting)
            if reason and not self._stop.is_set():
                end(reason)

    def _is_idle(self) -> bool:
        """Whether it runs nothing and has begun nothing since the last look."""
        before, self._accepted = self._accepted, state.all_total_count[0]
        return before == self._accepted and not state.reserved_requests

    def _waiting(self) -> int | None:
        try:
            return publishing.messages_waiting(list(self._app.amqp.queues.consume_from))
        except Exception:
            return None

    def _mark(self) -> None:
        pid, is_new = os.getpid(), True
        while not self._stop.is_set():
            try:
                if is_new:
                    marks.forget_dead()
                if self._has_beaten:
                    marks.write(pid)
                is_new = False
            except (DatabaseError, InterfaceError) as fault:
                log.warning("worker_mark_missed", fault=str(fault).strip()[:300])
            finally:
                connection.close()
            self._stop.wait(marks.BEAT_SECONDS)
        try:
            marks.forget(pid)
        except (DatabaseError, InterfaceError):
            log.warning("worker_mark_left_behind")
        finally:
            connection.close()


def end(reason: str) -> None:
    """End this process at once, its pool with it (the kernel kills them when their parent ends); say where it stood."""
    log.critical("worker_stands_still", reason=reason)
    sys.stdout.flush()
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    os._exit(EXIT_CODE)
