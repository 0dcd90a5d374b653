"""A worker that can be told by a signal to stand still, and is soon found out."""

from __future__ import annotations

import signal
import time
from typing import Any

from celery.signals import worker_ready

from core.workers import watch

STAND_STILL = signal.SIGUSR2
TURN_DEAF = signal.SIGPROF


@worker_ready.connect
def _obey(sender: Any, **_: Any) -> None:
    """Shorten the watch's patience; take the signals (in the main thread, where the message loop runs)."""
    watch.LOOK_SECONDS, watch.STANDING_SECONDS, watch.DEAF_SECONDS = 1.0, 2.0, 3.0
    signal.signal(STAND_STILL, lambda *_: time.sleep(600))
    signal.signal(TURN_DEAF, lambda *_: sender.task_consumer.cancel())
