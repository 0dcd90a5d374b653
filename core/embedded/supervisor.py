"""Several processes under one: their lines in one log, started anew when they die or stand, stopped together."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}
STOP_SECONDS = 30.0
_FIRST_WAIT, _LONGEST_WAIT, _WELL_AFTER = 0.5, 30.0, 20.0
_LOOK_SECONDS, _LOOKS = 5.0, 3  # so often in a row must a process seem to stand still
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(slots=True)
class Child:
    """One process to keep alive. `wait` is how long it rests after its next death (seconds). `stands_still`, if there
    is one, is given its id and says whether it lives without working."""

    name: str
    command: Sequence[str]
    colour: str
    environment: Mapping[str, str] = field(default_factory=dict)
    stands_still: Callable[[int], bool] | None = None
    process: subprocess.Popen[str] | None = None
    wait: float = _FIRST_WAIT
    started: float = 0.0
    due: float = 0.0
    next_look: float = 0.0
    standing: int = 0


class Supervisor:
    """Keeps `children` alive until `stop` is asked for. `write` takes each line of the common log."""

    def __init__(self, children: Sequence[Child], *, folder: Path, write: Callable[[str], None] | None = None) -> None:
        self.children = list(children)
        self.folder = folder
        self._write = write or _to_terminal
        self._is_stopping = threading.Event()
        self._is_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._width = max(len(child.name) for child in self.children)

    def run(self, *, watch: Callable[[], bool] | None = None) -> None:
        """Start all and return once they have stopped. When `watch` says yes all are started anew."""
        for order in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(order, lambda *_: self.stop())
        for child in self.children:
            self._start(child)
        while not self._is_stopping.wait(0.25):
            for child in self.children:
                self._look_after(child)
            if watch is not None and watch():
                self.say("The code has changed: starting anew.")
                self._stop_all()
                for child in self.children:
                    self._start(child)
        self.say("Stopping ...")
        self._stop_all()

    def stop(self) -> None:
        """Ask `run` to stop everything and return."""
        self._is_stopping.set()

    def say(self, text: str, name: str = "dev", colour: str = "green") -> None:
        """Write one line into the common log."""
        label = f"{name:<{self._width}} |"
        self._write(f"\x1b[{_COLOURS[colour]}m{label}\x1b[0m {text}" if self._is_coloured else f"{label} {text}")

    def _start(self, child: Child) -> None:
        child.process = subprocess.Popen(  # noqa: S603
            list(child.command),
            cwd=self.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **child.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches this process alone, which stops the others in order
            preexec_fn=_end_with_parent,
        )
        child.started, child.standing = time.monotonic(), 0
        threading.Thread(target=self._follow, args=(child, child.process), daemon=True).start()

    def _follow(self, child: Child, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                self.say(line.rstrip("\n"), child.name, child.colour)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is not None and child.process.poll() is not None:
            if now - child.started > _WELL_AFTER:
                child.wait = _FIRST_WAIT
            self.say(
                f"{child.name} ended ({_reason(child.process.returncode)}); again in {child.wait:g} s.", colour="red"
            )
            child.process, child.due = None, now + child.wait
            child.wait = min(child.wait * 2, _LONGEST_WAIT)
        elif child.process is None and now >= child.due:
            self._start(child)
        elif child.process is not None and child.stands_still is not None and now >= child.next_look:
            child.next_look = now + _LOOK_SECONDS
            child.standing = child.standing + 1 if child.stands_still(child.process.pid) else 0
            if child.standing >= _LOOKS:
                self.say(f"{child.name} stands still; ending it.", colour="red")
                os.killpg(child.process.pid, signal.SIGKILL)

    def _stop_all(self) -> None:
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _reason(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _end_with_parent() -> None:
    """In the child, before its program: be told to stop when the parent dies, however it dies."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _to_terminal(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
