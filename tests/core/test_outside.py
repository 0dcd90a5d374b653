"""Calls to the outside. Such a call..."""

from __future__ import annotations

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from core import health, outside, redis
from core.breaker import Breaker, Open
from core.errors import ProviderAnswerInvalid, ProviderRejected, ProviderUnavailable


@pytest.fixture
def provider() -> outside.Provider:
    redis.gate.reopen()
    known = outside.declare(outside.Provider(f"p{uuid4().hex}", timeout=1, first_wait=0.001))
    known.breaker.rest = 0.2
    yield known
    outside.providers.pop(known.name)


def caller(known: outside.Provider, outcomes: list[object], **options: object):
    """Return a call that yields `outcomes` one after another, and the list of what was asked."""
    asked: list[float] = []

    @outside.call(provider=known.name, operation="do", **options)
    def do() -> object:
        asked.append(time.monotonic())
        outcome = outcomes[min(len(asked) - 1, len(outcomes) - 1)]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return do, asked


def test_is_repeated_when_that_is_safe_and_the_failure_may_pass(provider):
    do, asked = caller(provider, [ConnectionResetError(), "done"], is_repeatable=True)
    assert do() == "done"
    assert len(asked) == 2


def test_is_never_repeated_when_that_is_not_safe(provider):
    do, asked = caller(provider, [ConnectionResetError(), "done"])
    with pytest.raises(ProviderUnavailable):
        do()
    assert len(asked) == 1


def test_is_not_repeated_after_a_refusal_which_harms_no_breaker(provider):
    do, asked = caller(provider, [ProviderRejected(provider_message="No.")], is_repeatable=True)
    for _ in range(10):
        with pytest.raises(ProviderRejected):
            do()
    assert len(asked) == 10
    assert provider.breaker.state() == "closed"


def test_makes_at_most_a_tenth_more_calls(provider):
    provider.breaker.threshold = 10_000
    do, asked = caller(provider, [ConnectionResetError()], is_repeatable=True)
    for _ in range(200):
        with pytest.raises(ProviderUnavailable):
            do()
    assert 200 < len(asked) <= 221


def test_turns_an_answer_of_unknown_shape_into_a_clear_error(provider):
    do, _ = caller(provider, [KeyError("acknowledged")])
    with pytest.raises(ProviderAnswerInvalid) as fault:
        do()
    assert (fault.value.status, fault.value.code) == (502, "provider_answer_invalid")
    assert "acknowledged" not in fault.value.detail


def test_tells_the_function_how_long_it_may_take(provider):
    @outside.call(provider=provider.name, operation="do", timeout=20)
    def do() -> float:
        return outside.time_left()

    assert 10 < do() <= 20
    assert outside.time_left(7) == 7


def test_is_left_behind_in_time_when_the_library_knows_no_time_out(provider):
    release = threading.Event()

    @outside.call(provider=provider.name, operation="do", timeout=0.1, is_interrupted=True)
    def do() -> None:
        release.wait(60)

    started = time.monotonic()
    with pytest.raises(outside.ProviderTimedOut):
        do()
    assert time.monotonic() - started < 20
    release.set()


def test_is_refused_when_all_places_are_taken(provider):
    provider.places = threading.BoundedSemaphore(2)
    release = threading.Event()

    @outside.call(provider=provider.name, operation="do")
    def do() -> bool:
        return release.wait(5)

    with ThreadPoolExecutor(2) as threads:
        busy = [threads.submit(do) for _ in range(2)]
        time.sleep(0.1)
        with pytest.raises(outside.ProviderBusy):
            do()
        release.set()
        assert all(each.result() for each in busy)
    assert provider.breaker.state() == "closed"


def test_is_counted_by_outcome(provider):
    do, _ = caller(provider, ["done"])
    do()
    labels = {"provider": provider.name, "operation": "do", "outcome": "answered"}
    assert REGISTRY.get_sample_value("outside_call_duration_seconds_count", labels) == 1


# --- the breaker ---


def _fail(do: object, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ProviderUnavailable):
            do()


@pytest.mark.parametrize("has_redis", [True, False])
def test_opens_rests_longer_each_time_probes_once_and_closes(provider, own_valkey, has_redis):
    if not has_redis:
        own_valkey.kill()
    outcomes: list[object] = [ConnectionResetError()]
    do, asked = caller(provider, outcomes)
    _fail(do, 5)
    assert provider.breaker.state() == "open"
    _fail(do, 5)
    assert len(asked) == 5
    time.sleep(0.25)
    assert provider.breaker.state() == "half_open"
    _fail(do, 1)
    assert len(asked) == 6
    time.sleep(0.25)  # the second rest is twice as long
    _fail(do, 1)
    assert len(asked) == 6
    outcomes[:] = ["done"]
    time.sleep(0.2)
    assert do() == "done"
    assert provider.breaker.state() == "closed"


def test_says_when_to_come_back_while_it_rests(provider):
    do, _ = caller(provider, [ConnectionResetError()])
    _fail(do, 5)
    with pytest.raises(ProviderUnavailable) as fault:
        do()
    assert fault.value.headers["Retry-After"] == "1"
    found = health.probes["providers"].ask()
    assert found.status is health.Status.WARNING
    assert provider.name in found.detail


def test_does_not_open_for_failures_far_apart_or_between_answers(provider):
    do, _ = caller(provider, [*[ConnectionResetError()] * 4, "done", *[ConnectionResetError()] * 4, "done"])
    for _ in range(2):
        _fail(do, 4)
        assert do() == "done"
    provider.breaker.window = 0.05
    for _ in range(8):
        provider.breaker.bad(provider.breaker.enter())
        time.sleep(0.02)
    assert provider.breaker.state() == "closed"


_LONG_REST = 2.0  # so long that eight processes come within it, however busy the machine


def _enter(name: str) -> str:
    try:
        return "probe" if Breaker(name, rest=_LONG_REST).enter().is_probe else "closed"
    except Open:
        return "open"


def test_is_shared_between_processes_with_one_probe_for_all(provider):
    provider.breaker.rest = _LONG_REST
    do, _ = caller(provider, [ConnectionResetError()])
    with multiprocessing.get_context("fork").Pool(4) as pool:
        _fail(do, 5)
        assert pool.map(_enter, [provider.name] * 4) == ["open"] * 4
        time.sleep(_LONG_REST + 0.05)
        assert sorted(pool.map(_enter, [provider.name] * 8)) == ["open"] * 7 + ["probe"]
