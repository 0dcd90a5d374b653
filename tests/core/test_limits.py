"""The limits: what they let through, what they say, and what they do when Redis is away. A limit..."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import limits, redis
from core.actor import Actor, ActorType
from core.errors import Conflict, LimitReached, Unauthenticated


@pytest.fixture(autouse=True)
def unscaled(settings):
    settings.RATE_LIMIT_SCALE = 1.0
    redis.gate.reopen()


@pytest.fixture
def subject() -> str:
    return uuid4().hex


def test_lets_exactly_the_limit_through(subject):
    verdicts = [limits.hit("anonymous", subject) for _ in range(101)]
    assert [verdict.allowed for verdict in verdicts] == [True] * 100 + [False]
    assert [verdict.remaining for verdict in verdicts[:3]] == [99, 98, 97]


def test_says_in_headers_what_is_left_and_when_to_come_back(subject):
    first = limits.hit("anonymous", subject)
    assert first.headers == {
        "RateLimit-Policy": '"anonymous";q=100;w=900',
        "RateLimit": '"anonymous";r=99;t=9',
    }
    limits.hit("anonymous", subject, cost=99)
    with pytest.raises(LimitReached) as refused:
        limits.check("anonymous", subject)
    assert refused.value.headers["Retry-After"] == "9"
    assert refused.value.headers["RateLimit"] == '"anonymous";r=0;t=900'


def test_slides_and_gives_one_place_back_after_an_interval(subject, monkeypatch):
    monkeypatch.setitem(limits.POLICIES, "quick", limits.Policy("quick", 5, 1))
    assert all(limits.hit("quick", subject).allowed for _ in range(5))
    assert not limits.hit("quick", subject).allowed
    time.sleep(0.21)
    assert [limits.hit("quick", subject).allowed for _ in range(2)] == [True, False]


def test_makes_repeat_offenders_wait_longer_each_time(subject, monkeypatch):
    monkeypatch.setitem(limits.POLICIES, "quick", limits.Policy("quick", 5, 1, longest_penalty=2))
    waits = []
    for _ in range(3):
        while limits.hit("quick", subject).allowed:
            pass
        key = redis.client().keys("limit:quick:*:strikes")
        until = max(float(redis.client().hget(name, "until")) for name in key)
        seconds, micro = redis.client().time()
        waits.append((until - seconds * 1e6 - micro) / 1e6)
        time.sleep(max(0, waits[-1]) + 0.01)
    assert waits[0] < 0.21
    assert 0.3 < waits[1] < 0.5
    assert 0.7 < waits[2] < 0.9


def _take(arguments: tuple[str, int]) -> int:
    subject, tries = arguments
    return sum(limits.hit("anonymous", subject).allowed for _ in range(tries))


def test_is_one_for_ten_processes(subject):
    with multiprocessing.get_context("fork").Pool(10) as pool:
        allowed = sum(pool.map(_take, [(subject, 40)] * 10))
    assert 100 <= allowed <= 101  # one place returns every nine seconds


def test_takes_nothing_for_a_look(subject):
    for _ in range(150):
        assert limits.peek("anonymous", subject).remaining in (99, 100)
    assert limits.hit("anonymous", subject).allowed


def test_is_not_fooled_by_a_clock_that_was_set_back(subject):
    limits.hit("anonymous", subject)
    (key,) = redis.client().keys(f"limit:anonymous:{_hash(subject)}")
    seconds, _ = redis.client().time()
    redis.client().set(key, str((seconds + 10**7) * 10**6))
    assert limits.hit("anonymous", subject).retry_after <= 900


def _hash(subject: str) -> str:
    import hashlib

    return hashlib.sha256(subject.encode()).hexdigest()[:32]


# --- failures ---


def _guess(email: str, ip: str, *, right: bool) -> None:
    with limits.attempt(*limits.sign_in(email, ip)) as attempt:
        if not right:
            raise Unauthenticated
        attempt.succeeded()


def test_counts_failures_of_sign_in_and_leaves_successes_free(subject):
    ip = "192.0.2.7"
    limits.forget({"sign_in_address": ip})
    for _ in range(30):
        _guess(subject, ip, right=True)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            _guess(subject, ip, right=False)
    with pytest.raises(LimitReached) as refused:
        _guess(subject, ip, right=True)
    assert refused.value.extra["policy"] == "sign_in_account"
    _guess(f"other-{subject}", ip, right=True)


def test_stops_an_address_after_twenty_failures_on_any_account(subject):
    ip = "192.0.2.8"
    limits.forget({"sign_in_address": ip})
    for number in range(20):
        with pytest.raises(Unauthenticated):
            _guess(f"{number}-{subject}", ip, right=False)
    with pytest.raises(LimitReached) as refused:
        _guess(f"fresh-{subject}", ip, right=True)
    assert refused.value.extra["policy"] == "sign_in_address"
    _guess(f"fresh-{subject}", "192.0.2.9", right=True)


def test_cannot_be_outrun_by_guesses_sent_at_once(subject):
    ip = "192.0.2.10"
    limits.forget({"sign_in_address": ip})

    def slow_guess(_: int) -> str:
        try:
            with limits.attempt(*limits.sign_in(subject, ip)):
                time.sleep(0.05)
                raise Unauthenticated
        except LimitReached:
            return "refused"
        except Unauthenticated:
            return "guessed"

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(slow_guess, range(20)))
    assert answers.count("guessed") == 5


def test_does_not_count_our_own_crash_but_counts_any_refusal(subject):
    with pytest.raises(ZeroDivisionError), limits.attempt(("sign_up_account", subject)):
        1 / 0  # noqa: B018
    assert limits.peek("sign_up_account", subject).remaining == 5
    with pytest.raises(Conflict), limits.attempt(("sign_up_account", subject)):
        raise Conflict
    assert limits.peek("sign_up_account", subject).remaining == 4


def test_counts_a_failure_beyond_the_limit_without_growing_for_ever(subject):
    for _ in range(50):
        verdict = limits.failure("sign_in_account", subject)
    assert not verdict.allowed
    assert verdict.reset_seconds <= 900


# --- who ---


def test_takes_an_ipv6_household_as_one_and_a_mapped_ipv4_as_itself():
    assert limits.address("2001:db8:1:2:3::4") == limits.address("2001:db8:1:2::99") == "2001:db8:1:2::/64"
    assert limits.address("::ffff:192.0.2.1") == limits.address("192.0.2.1") == "192.0.2.1"
    assert limits.address("nonsense") == "unknown"


def test_multiplies_a_users_limit_by_the_tier_and_a_keys_by_its_quota(monkeypatch):
    monkeypatch.setattr(limits, "_tier", lambda actor: 5)
    monkeypatch.setattr(limits, "_quota", lambda organization_id: 7)
    user = SimpleNamespace(actor=Actor(ActorType.USER, uuid4()), META={})
    assert limits.enforce(user).headers["RateLimit-Policy"] == '"user";q=300;w=60'
    organization = uuid4()
    keys = [Actor(ActorType.API_KEY, uuid4(), organization_id=organization) for _ in range(2)]
    for number in range(7):
        limits.enforce(SimpleNamespace(actor=keys[number % 2], META={}))
    with pytest.raises(LimitReached):
        limits.enforce(SimpleNamespace(actor=keys[0], META={}))


def test_counts_the_anonymous_by_address():
    ip = f"198.51.100.{uuid4().int % 250}"
    limits.forget({"anonymous": ip})
    verdict = limits.enforce(SimpleNamespace(META={"REMOTE_ADDR": ip}))
    assert (verdict.policy, verdict.remaining) == ("anonymous", 99)


@pytest.mark.django_db
@pytest.mark.parametrize("headers", [{}, {"HTTP_AUTHORIZATION": "Bearer wrong"}])
def test_counts_requests_that_are_refused_for_want_of_a_token_too(client, headers):
    answers = [client.get("/api/v1/customers", REMOTE_ADDR="198.51.100.251", **headers) for _ in range(101)]
    assert {reply.status_code for reply in answers[:100]} == {401}
    assert answers[99]["RateLimit"].startswith('"anonymous";r=0;')
    assert answers[100].status_code == 429
    assert int(answers[100]["Retry-After"]) > 0
    assert answers[100].json()["code"] == "limit_reached"


def test_is_scaled_by_one_setting(settings, subject):
    settings.RATE_LIMIT_SCALE = 10
    assert limits.hit("anonymous", subject).limit == 1000


# --- without Redis ---


def test_never_stands_open_for_sign_in_and_recovers_by_itself(own_valkey, subject, monkeypatch):
    own_valkey.kill()
    monkeypatch.setattr(redis, "REST_SECONDS", 60.0)
    breaks = redis.gate.breaks
    assert [limits.hit("sign_in_account", subject).allowed for _ in range(6)] == [True] * 5 + [False]
    assert all(limits.hit("anonymous", subject).allowed for _ in range(150))
    assert redis.gate.breaks == breaks + 1, "it is asked once, and then left alone"
    own_valkey.start()
    assert limits.hit("anonymous", subject).remaining == 99


def test_gives_the_place_back_without_redis_too(own_valkey, subject):
    own_valkey.kill()
    for _ in range(30):
        with limits.attempt(("sign_in_account", subject)) as attempt:
            attempt.succeeded()


@given(st.lists(st.sampled_from(["hit", "force", "refund", "peek"]), max_size=60), st.integers(1, 8))
def test_keeps_what_remains_between_nothing_and_the_limit(modes, size):
    cells, key = limits._LocalCells(), uuid4().hex
    for mode in modes:
        _, remaining, reset, wait = cells.decide(key, 900, size, 1, mode)
        assert 0 <= remaining <= size
        assert 0 <= reset <= 900e6 + 1
        assert wait >= 0


def test_keeps_a_bounded_number_of_subjects_in_the_process():
    cells = limits._LocalCells(most=10)
    for number in range(50):
        cells.decide(str(number), 900, 5, 1, "hit")
    assert len(cells._arrivals) == 10
