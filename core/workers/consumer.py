"""Celery's consumer, the loop in which a worker takes messages, with two things more: it finds a broker that came back
within seconds, and it beats, so that its standing still is noticed. Chosen by CELERY_WORKER_CONSUMER."""

from __future__ import annotations

from typing import Any

import structlog
from celery.worker.consumer import Consumer as CelerysConsumer
from celery.worker.state import maybe_shutdown

from core.workers.watch import Watch

log = structlog.get_logger(__name__)

BEAT_SECONDS = 1.0
_FIRST_WAIT, _STEP, _LONGEST_WAIT = 1.0, 1.0, 5.0  # seconds between two attempts to connect; Celery's longest is 30


class Consumer(CelerysConsumer):
    """One for each worker process. The pool has been started when it starts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.watch = Watch(self.app)

    def start(self) -> None:
        """Take messages until told to stop; connect again whenever the broker is lost."""
        self.watch.start()
        super().start()

    def register_with_event_loop(self, hub: Any) -> None:
        """Beat from the loop's own timer: called once for each connection, whose timers Celery clears with it."""
        super().register_with_event_loop(hub)
        hub.timer.call_repeatedly(BEAT_SECONDS, self.watch.beat)

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, however long it takes. A worker that looks for its broker does not stand still."""

        def say(fault: Exception, wait: float) -> None:
            log.error("broker_unreachable", broker=conn.as_uri(), fault=repr(fault)[:300], again_in_seconds=wait)

        connected = conn.ensure_connection(
            say,
            self.app.conf.broker_connection_max_retries,
            interval_start=_FIRST_WAIT,
            interval_step=_STEP,
            interval_max=_LONGEST_WAIT,
            callback=self._while_waiting,
        )
        self.first_connection_attempt = False
        self.broker_connection_retry_attempt = 0
        return connected

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Let go of the broken connection. Whatever its closing raises, the next thing is to connect anew."""
        try:
            super().on_connection_error_after_connected(exc)
        except Exception:
            log.exception("broker_connection_not_closed")
            self.connection = None

    def _while_waiting(self) -> None:
        maybe_shutdown()
        self.watch.beat()
