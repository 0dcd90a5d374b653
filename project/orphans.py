"""A process of the web server ends when the one that started it was killed.

granian's workers would live on and keep the port, beside those of the next start. The kernel tells nobody portably that
its parent died, so it is asked for once a second.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

_LOOK_SECONDS = 1.0
_STOP_SECONDS = 30.0


def end_with_parent() -> None:
    """In a worker process: stop as by SIGTERM once the parent is gone, after 30 seconds at once. Elsewhere: nothing."""
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_watch, args=(os.getppid(),), name="end-with-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_STOP_SECONDS)
    os._exit(1)
