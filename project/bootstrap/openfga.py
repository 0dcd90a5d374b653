"""The program of an OpenFGA server, for tests and benchmarks: found, or built once by Go. Standard library only.

`python3 -m project.bootstrap.openfga` prints where it is, or why there is none (exit code 1).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "v1.22.1"
PACKAGE = "github.com/openfga/openfga/cmd/openfga"
NAMED_BY = "COUNTINGHOUSE_OPENFGA"
_PATIENCE = 1200  # seconds; a cold build takes two minutes on two cores


class NoServer(Exception):
    """There is no program, for the reason that the text says in one line."""


def find() -> Path | None:
    """Return the program where one is: named by COUNTINGHOUSE_OPENFGA, on the PATH, in Go's folder, built before.
    Raises NoServer when the one that is named is not there."""
    named = os.environ.get(NAMED_BY)
    if named:
        if not os.access(named, os.X_OK):
            raise NoServer(f"{NAMED_BY} names {named}, which is no program")
        return Path(named)
    on_path = shutil.which("openfga")
    places = [Path(on_path)] if on_path else []
    places += [Path(os.environ.get("GOPATH") or Path.home() / "go") / "bin" / "openfga", _cache() / "openfga"]
    return next((place for place in places if os.access(place, os.X_OK)), None)


def find_or_build() -> Path:
    """Return the program; it is built first where there is none. Who comes while it is being built waits. Raises
    NoServer."""
    found = find()
    if found is not None:
        return found
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise NoServer(f"there is no Go to build it (go install {PACKAGE}@{VERSION}), and {NAMED_BY} names none")
    _cache().mkdir(parents=True, exist_ok=True)
    with (_cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return find() or _build(go)


def _build(go: str) -> Path:
    """Build beside the place where it shall stand, so that what stands there is whole."""
    target = _cache() / "openfga"
    with tempfile.TemporaryDirectory(dir=_cache(), prefix="build-") as folder:
        environment = {**os.environ, "GOBIN": folder, "GOFLAGS": "-trimpath"}
        command = [go, "install", f"{PACKAGE}@{VERSION}"]
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False, timeout=_PATIENCE
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise NoServer(f"go install did not come to its end: {type(fault).__name__}") from fault
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise NoServer(f"go install {PACKAGE}@{VERSION} failed: {said[:300]}")
        Path(folder, "openfga").rename(target)
    return target


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "countinghouse" / f"openfga-{VERSION}"


if __name__ == "__main__":
    try:
        print(find_or_build())
    except NoServer as fault:
        sys.exit(f"No OpenFGA server: {fault}.")
