"""Where the embedded servers' sockets may lie: a unix socket's path must be shorter than 108 bytes."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_FOLDER = 80


def temporary_root() -> Path:
    """Return a folder for temporary files that is short enough to hold sockets."""
    for candidate in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108
        if len(os.fsencode(candidate)) <= LONGEST_FOLDER - 30 and os.access(candidate, os.W_OK):
            return Path(candidate)
    raise RuntimeError("There is no short folder for temporary files: set TMPDIR to one of less than 50 characters.")


def short_folder(prefix: str) -> Path:
    """Make a folder of one's own (0700) with a path short enough for sockets."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=temporary_root()))


def state_folder(path: Path) -> Path:
    """Make the folder of what a clone keeps, closed to others: secrets and data lie there."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def is_process(pid: int, *marks: str) -> bool:
    """Whether process `pid` lives and its command line holds all `marks` (a pid may have been given anew)."""
    try:
        os.kill(pid, 0)
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return False
    return all(os.fsencode(mark) in command for mark in marks)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` inside the block; wait for whoever holds it. A death frees it."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
