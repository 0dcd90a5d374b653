"""Circuit breakers: a provider that fails again and again is left alone for a while.

Closed: calls pass; `threshold` failures in a row within `window` open it. Open: calls are refused at once. After `rest`
(doubled each time, at most `longest_rest`) one single call of all processes is let through as a probe: it closes or
opens again. The state lives in Redis or Valkey (`breaker.lua`); while that is down, in each process.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from core import redis

log = structlog.get_logger(__name__)

_SCRIPT = redis.Script(Path(__file__).parent / "breaker.lua")
_PREFIX = "breaker:"


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to call. `is_probe`: this call decides for all; `had_failures`: a success has something to clear."""

    is_probe: bool = False
    had_failures: bool = False


class Open(Exception):
    """The breaker is open; `seconds` until a probe."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"open for {seconds:.1f} s more")
        self.seconds = seconds


@dataclass(slots=True)
class _State:
    """The state inside one process, in milliseconds of the monotonic clock."""

    failures: int = 0
    since: float = 0
    open_until: float = 0
    probe_until: float = 0
    opens: int = 0


@dataclass(slots=True)
class Breaker:
    """One provider's breaker. Durations in seconds."""

    name: str
    threshold: int = 5
    window: float = 30
    rest: float = 10
    longest_rest: float = 120
    probe_lease: float = 30
    _local: _State = field(default_factory=_State)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self) -> Pass:
        """Return leave to call. Raises `Open`."""
        word, wait, failures = self._ask("before", False)
        if word == "open":
            raise Open(wait / 1000)
        if word == "probe":
            log.info("breaker.half_open", provider=self.name)
        return Pass(is_probe=word == "probe", had_failures=failures > 0)

    def good(self, leave: Pass) -> None:
        """The provider answered (a refusal is an answer too)."""
        if (leave.is_probe or leave.had_failures) and self._ask("good", leave.is_probe)[0] == "reclosed":
            log.info("breaker.closed", provider=self.name)

    def bad(self, leave: Pass) -> None:
        """The provider failed to answer."""
        word, wait, _ = self._ask("bad", leave.is_probe)
        if word == "opened":
            log.error("breaker.opened", provider=self.name, seconds=wait / 1000)

    def _ask(self, question: str, is_probe: bool) -> tuple[str, float, int]:
        numbers = [self.threshold, *(round(n * 1000) for n in (self.window, self.rest, self.longest_rest))]
        arguments = [question, int(is_probe), *numbers, round(self.probe_lease * 1000)]
        try:
            word, wait, failures = redis.ask(lambda server: _SCRIPT.run(server, [_PREFIX + self.name], arguments))
        except redis.Unavailable:
            with self._lock:
                return self._decide(question, is_probe)
        if question == "good":
            self._local = _State()
        return word.decode(), float(wait), int(failures)

    def _decide(self, question: str, is_probe: bool) -> tuple[str, float, int]:
        """`breaker.lua`, for one process."""
        state, now = self._local, time.monotonic() * 1000
        if question == "before":
            if not state.open_until:
                return "closed", 0, state.failures
            closed_for = max(state.open_until, state.probe_until) - now
            if closed_for > 0:
                return "open", closed_for, 0
            state.probe_until = now + self.probe_lease * 1000
            return "probe", 0, 0
        if question == "good":
            if state.open_until and not is_probe:
                return "open", 0, 0
            self._local = _State()
            return ("reclosed" if state.open_until else "closed"), 0, 0
        if not is_probe:
            if state.open_until:
                return "open", 0, 0
            if now - state.since > self.window * 1000:
                state.failures, state.since = 0, now
            state.failures += 1
            if state.failures < self.threshold:
                return "closed", 0, state.failures
        state.opens += 1
        wait = min(self.rest * 2 ** min(state.opens - 1, 20), self.longest_rest) * 1000
        state.open_until, state.probe_until, state.failures = now + wait, 0, 0
        return "opened", wait, 0

    def state(self) -> str:
        """Return `closed`, `half_open` (a probe is due or under way) or `open`, and take nothing."""
        key = _PREFIX + self.name
        try:
            until, (seconds, micros) = redis.ask(lambda server: (server.hget(key, "open_until"), server.time()))
            left = float(until or 0) - seconds * 1000 - micros / 1000 if until else None
        except redis.Unavailable:
            left = self._local.open_until - time.monotonic() * 1000 if self._local.open_until else None
        return "closed" if left is None else "open" if left > 0 else "half_open"
