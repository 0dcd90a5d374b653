"""Calls to the outside: time-out, few retries, a breaker and a bulkhead around each, and one tree of errors.

    @outside.call(provider="sandbox", operation="charge", is_repeatable=True)
    def charge(...) -> Charge: ...      # passes outside.time_left() to its HTTP client

What the function raises becomes `ProviderUnavailable` (no answer), `ProviderAnswerInvalid` (an answer of a shape not
expected) or stays what it is (`ProviderRejected`, `ProviderMisconfigured`: answers). Never call from inside a
transaction.
"""

from __future__ import annotations

import contextvars
import functools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import stamina
import structlog
from django.db import connections

from core import health
from core.breaker import Breaker, Open
from core.errors import AppError, ProviderAnswerInvalid, ProviderUnavailable
from core.telemetry import metrics

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

_SHAPE_FAULTS = (KeyError, IndexError, TypeError, AttributeError, ValueError)


class ProviderTimedOut(ProviderUnavailable):
    """No answer in time: whether the provider acted is not known, and must be asked, never guessed."""

    code, title = "provider_timed_out", "The provider did not answer in time"


class ProviderBusy(ProviderUnavailable):
    """All places for calls to this provider are taken in this process."""

    code, title = "provider_busy", "Too many calls to the provider are under way"


class RetryBudget:
    """At most one retry per ten calls: each call earns a tenth, a retry costs one, ten may be saved up."""

    def __init__(self, share: float = 0.1, most: float = 10) -> None:
        self._share, self._most, self._saved = share, most, 1.0
        self._lock = threading.Lock()

    def earn(self) -> None:
        with self._lock:
            self._saved = min(self._most, self._saved + self._share)

    def spend(self) -> bool:
        """Take one retry; False when the budget is used up."""
        with self._lock:
            if self._saved < 1 - 1e-9:
                return False
            self._saved -= 1
            return True


@dataclass(slots=True)
class Provider:
    """How one provider is called. `timeout` in seconds for one attempt; `max_concurrent` calls in this process."""

    name: str
    timeout: float = 10
    attempts: int = 3
    first_wait: float = 0.2
    longest_wait: float = 5
    max_concurrent: int = 10
    breaker: Breaker = field(init=False)
    budget: RetryBudget = field(default_factory=RetryBudget)
    places: threading.BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        self.breaker = Breaker(self.name)
        self.places = threading.BoundedSemaphore(self.max_concurrent)


providers: dict[str, Provider] = {}
_registry = threading.Lock()


def provider(name: str) -> Provider:
    """Return how `name` is called; with the usual numbers when nobody declared others."""
    with _registry:
        return providers.setdefault(name, Provider(name))


def declare(declared: Provider) -> Provider:
    """Declare the numbers of a provider; call it in the provider's module."""
    with _registry:
        providers[declared.name] = declared
    return declared


_deadline: ContextVar[float | None] = ContextVar("countinghouse_outside_deadline", default=None)


def time_left(default: float = 10.0) -> float:
    """Return the seconds that the present attempt may still take: what an HTTP client is given as its time-out."""
    deadline = _deadline.get()
    return default if deadline is None else max(0.001, deadline - time.monotonic())


def call(
    *,
    provider: str,
    operation: str,
    timeout: float | None = None,
    is_repeatable: bool = False,
    is_interrupted: bool = False,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a call to the outside.

    `is_repeatable`: calling twice does what calling once does (a read, or a key of ours goes along); only then is it
    retried. `is_interrupted`: the time-out is kept by leaving the call behind in a thread, for libraries without one;
    otherwise the function must pass `time_left()` on. Raises `ProviderUnavailable`, `ProviderTimedOut`, `ProviderBusy`,
    `ProviderAnswerInvalid` and whatever `AppError` the function itself raises.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        run = _interrupted(function) if is_interrupted else function

        @functools.wraps(function)
        def outside(*args: P.args, **kwargs: P.kwargs) -> R:
            known = _provider(provider)
            known.budget.earn()
            attempts = known.attempts if is_repeatable else 1
            number = 0
            for again in stamina.retry_context(
                on=_wait_before_retry(known, operation), attempts=attempts, timeout=None
            ):
                with again, _attempt(known, operation, timeout or known.timeout):
                    number += 1
                    return run(*args, **kwargs)
            raise AssertionError("stamina ended without an answer")

        return outside

    return decorate


_provider = provider


def _wait_before_retry(known: Provider, operation: str) -> Callable[[Exception], bool | float]:
    """Return stamina's hook: seconds to wait (full jitter: anything from 0 to the doubled wait), or False."""
    attempts = 0

    def decide(error: Exception) -> bool | float:
        nonlocal attempts
        attempts += 1
        is_worth_it = isinstance(error, ProviderUnavailable | ProviderAnswerInvalid) and error.is_retryable
        if not is_worth_it or isinstance(error, ProviderBusy) or error.extra.get("breaker") == "open":  # type: ignore[attr-defined]
            return False
        if attempts >= known.attempts or not known.budget.spend():
            return False
        metrics.OUTSIDE_RETRIES.labels(known.name, operation).inc()
        return random.uniform(0, min(known.longest_wait, known.first_wait * 2**attempts))  # noqa: S311

    return decide


@contextmanager
def _attempt(known: Provider, operation: str, timeout: float) -> Iterator[None]:
    """One attempt under bulkhead, breaker, deadline and figures."""
    if not known.places.acquire(timeout=0.1):
        metrics.OUTSIDE_CALLS.labels(known.name, operation, "busy").observe(0)
        raise ProviderBusy(provider=known.name)
    try:
        try:
            leave = known.breaker.enter()
        except Open as fault:
            metrics.OUTSIDE_CALLS.labels(known.name, operation, "open").observe(0)
            wait = str(max(1, round(fault.seconds)))
            raise ProviderUnavailable(
                "The provider failed repeatedly and is left alone for a moment.",
                provider=known.name,
                breaker="open",
                headers={"Retry-After": wait},
            ) from None
        started = time.monotonic()
        token = _deadline.set(started + timeout)
        outcome = "error"  # ours: neither good nor bad for the provider
        try:
            yield
            outcome = "answered"
        except AppError as error:
            is_failure = isinstance(error, ProviderUnavailable | ProviderAnswerInvalid)
            outcome = "failed" if is_failure else "rejected"
            raise
        except (TimeoutError, Late) as fault:
            outcome = "timed_out"
            raise ProviderTimedOut(provider=known.name) from fault
        except (ConnectionError, OSError) as fault:
            outcome = "failed"
            raise ProviderUnavailable(provider=known.name) from fault
        except _SHAPE_FAULTS as fault:
            outcome = "invalid"
            log.exception("outside.answer_invalid", provider=known.name, operation=operation)
            raise ProviderAnswerInvalid(provider=known.name) from fault
        finally:
            _deadline.reset(token)
            metrics.OUTSIDE_CALLS.labels(known.name, operation, outcome).observe(time.monotonic() - started)
            if outcome in ("failed", "timed_out", "invalid"):
                known.breaker.bad(leave)
            elif outcome in ("answered", "rejected") or leave.is_probe:
                known.breaker.good(leave)
    finally:
        known.places.release()


_threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="outside")


def _interrupted(function: Callable[P, R]) -> Callable[P, R]:
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        def work() -> R:
            try:
                return function(*args, **kwargs)
            finally:
                connections.close_all()

        future = _threads.submit(contextvars.copy_context().run, work)
        try:
            return future.result(timeout=time_left())
        except Late:
            future.cancel()
            raise

    return run


@health.probe("providers")
def _probe() -> health.Finding:
    """No breaker is open."""
    states = {name: known.breaker.state() for name, known in list(providers.items())}
    bad = sorted(name for name, state in states.items() if state != "closed")
    if bad:
        return health.Finding(
            health.Status.WARNING, f"Left alone for a moment: {', '.join(bad)}.", {"breakers": states}
        )
    return health.Finding(inner={"breakers": states})
