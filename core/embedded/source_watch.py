"""Whether a source file has changed since the last look."""

from __future__ import annotations

import os
import time
from pathlib import Path

_SKIPPED = frozenset({".venv", ".git", ".countinghouse", "__pycache__", "node_modules", "staticfiles", "tests"})


class SourceWatch:
    """Call it as often as you like: it looks at the files of `root` once in `seconds`."""

    def __init__(self, root: Path, *, seconds: float = 1.0) -> None:
        self.root, self.seconds = root, seconds
        self._known = self._look()
        self._next = time.monotonic() + seconds

    def __call__(self) -> bool:
        """Return whether a Python file was written, added or removed since the last yes."""
        if time.monotonic() < self._next:
            return False
        found = self._look()
        self._next = time.monotonic() + self.seconds
        is_changed, self._known = found != self._known, found
        return is_changed

    def _look(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".venv")]
            for name in files:
                if name.endswith(".py"):
                    path = os.path.join(folder, name)
                    try:
                        found[path] = os.stat(path).st_mtime_ns
                    except OSError:
                        continue
        return found
