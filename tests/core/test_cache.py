"""The versioned cache. It..."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.core.cache import caches
from django.db import connections, transaction

from core import cache, cache_recovery, redis
from core.models import MissedInvalidation
from core.relay import duties


@pytest.fixture(autouse=True)
def anew():
    """Without the marks of writes that tests began and rolled back."""
    redis.gate.reopen()
    cache._local.forget()
    for name in redis.client().scan_iter("version:*:open"):
        redis.client().delete(name)


@pytest.fixture
def key() -> str:
    return uuid4().hex


class Source:
    """What stands behind the cache, and how often it was asked."""

    def __init__(self, value: object = 1, seconds: float = 0) -> None:
        self.value, self.seconds, self.asked = value, seconds, 0

    def __call__(self) -> object:
        self.asked += 1
        time.sleep(self.seconds)
        return self.value


@pytest.mark.django_db
def test_asks_once_and_answers_the_same_bytes_ever_after(key):
    source = Source({"amounts": (1, 2), "text": "é"})
    answers = [cache.remember("plan", key, source) for _ in range(3)]
    assert source.asked == 1
    assert {json.dumps(answer) for answer in answers} == {json.dumps({"amounts": [1, 2], "text": "é"})}


@pytest.mark.django_db
def test_never_answers_one_what_another_asked(key):
    acme, other = uuid4(), uuid4()
    who = [
        {"organization_id": acme},
        {"organization_id": other},
        {"organization_id": acme, "viewer": "user:1"},
        {"organization_id": acme, "viewer": "user:2"},
        {"object_id": acme},
        {},
    ]
    answers = [cache.remember("plan", key, lambda each=each: str(each), **each) for each in who]
    assert answers == [str(each) for each in who]


@pytest.mark.django_db
def test_refuses_what_is_not_json(key):
    with pytest.raises(TypeError):
        cache.remember("plan", key, lambda: {1, 2})
    assert cache.remember("plan", key, lambda: 5) == 5


@pytest.mark.django_db(transaction=True)
def test_forgets_one_object_and_its_lists_and_nothing_else(key):
    acme, other, first, second = uuid4(), uuid4(), uuid4(), uuid4()
    entries = {
        "first": {"organization_id": acme, "object_id": first},
        "second": {"organization_id": acme, "object_id": second},
        "list of acme": {"organization_id": acme},
        "list of other": {"organization_id": other},
        "list of all": {},
    }
    sources = {name: Source() for name in entries}

    def asked() -> set[str]:
        before = {name: source.asked for name, source in sources.items()}
        for name, source in sources.items():
            cache.remember("subscription", key, source, **entries[name])
        return {name for name, source in sources.items() if source.asked > before[name]}

    assert asked() == set(entries)
    assert asked() == set()
    cache.invalidate("subscription", organization_id=acme, object_id=first)
    assert asked() == {"first", "list of acme", "list of all"}
    cache.invalidate("subscription", organization_id=acme)
    assert asked() == {"first", "second", "list of acme", "list of all"}
    cache.invalidate("subscription", object_id=second)
    assert asked() == {"second", "list of acme", "list of other", "list of all"}
    cache.invalidate("subscription")
    assert asked() == set(entries)


@pytest.mark.django_db
def test_makes_one_of_fifty_misses(key):
    source = Source(seconds=0.2)
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: cache.remember("plan", key, source), range(50)))
    assert (answers, source.asked) == ([1] * 50, 1)


@pytest.mark.django_db
def test_answers_from_the_expired_entry_while_one_refreshes_it(key):
    cache.remember("plan", key, Source("old"), ttl=5)
    name = next(
        iter(redis.client().scan_iter(f"cache:plan:-:{cache._entry_key('plan', key, None, None, None)[13:45]}*"))
    )
    text = redis.client().get(name).split(b"|", 1)[1]
    redis.client().set(name, b"1|" + text, px=5000)  # its freshness has run out
    source = Source("new", seconds=0.3)
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: cache.remember("plan", key, source), range(10)))
    assert source.asked == 1
    assert answers.count("new") == 1
    assert answers.count("old") == 9


@pytest.mark.django_db
def test_lets_others_try_when_the_one_who_produces_fails(key, monkeypatch):
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.remember("plan", key, fail)
    monkeypatch.setattr(cache, "WAIT_SECONDS", 60)
    started = time.monotonic()
    assert cache.remember("plan", key, Source()) == 1
    assert time.monotonic() - started < cache.LOCK_MILLISECONDS / 2000


@pytest.mark.django_db(transaction=True)
def test_keeps_nothing_that_was_read_while_a_write_was_under_way(key):
    source = Source("before")
    with transaction.atomic():
        cache.invalidate("subscription")
        # Another process reads now what the commit is about to change.
        assert cache.remember("subscription", key, source) == "before"
    source.value = "after"
    assert cache.remember("subscription", key, source) == "after"


@pytest.mark.django_db(transaction=True)
def test_leaves_nothing_old_behind_when_the_writer_is_killed_after_its_commit(key, monkeypatch):
    monkeypatch.setattr(cache, "OPEN_SECONDS", 1)
    monkeypatch.setattr(cache, "_settle", lambda keys, token: None)  # killed before the hook of the commit ran
    source = Source("before")
    cache.remember("subscription", key, source)
    with transaction.atomic():
        cache.invalidate("subscription")
        cache.remember("subscription", key, source)
    source.value = "after"
    assert cache.remember("subscription", key, source) == "after"
    time.sleep(1.1)
    assert cache.remember("subscription", key, source) == "after"


@pytest.mark.django_db(transaction=True)
def test_answers_after_a_rollback(key):
    source = Source()
    with transaction.atomic():
        cache.invalidate("plan")
        transaction.set_rollback(True)
    assert cache.remember("plan", key, source) == 1


@pytest.mark.django_db(transaction=True)
def test_does_not_keep_what_a_slow_reader_read_before_the_write(key):
    started, written = threading.Event(), threading.Event()

    def slow() -> str:
        started.set()
        written.wait(5)
        return "before"

    with ThreadPoolExecutor(1) as threads:
        reader = threads.submit(cache.remember, "plan", key, slow)
        started.wait(5)
        cache.invalidate("plan")
        written.set()
        reader.result()
    assert cache.remember("plan", key, lambda: "after") == "after"


# --- Redis goes away and comes back ---


@pytest.mark.django_db(transaction=True)
def test_lets_redis_rest_while_it_is_away_and_has_nothing_stale_when_it_is_back(own_valkey, key, monkeypatch):
    source = Source("before")
    assert cache.remember("subscription", key, source) == "before"
    own_valkey.kill()
    monkeypatch.setattr(redis, "REST_SECONDS", 60.0)
    breaks = redis.gate.breaks
    for _ in range(100):
        assert cache.remember("subscription", key, source) == "before"
    assert redis.gate.breaks == breaks + 1, "it is asked once, and then left alone"
    with transaction.atomic():
        source.value = "after"
        cache.invalidate("subscription")
    own_valkey.start()
    asked = source.asked
    assert cache.remember("subscription", key, source) == "after"
    assert cache.remember("subscription", key, source) == "after"
    assert source.asked == asked + 1
    assert not MissedInvalidation.objects.exists()


def _remember_in_another_process(key: str, go: object, answers: object) -> None:
    answers.put(cache.remember("subscription", key, lambda: "before"))
    go.wait(20)
    answers.put(cache.remember("subscription", key, lambda: "after"))
    connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_shows_no_other_process_what_was_written_during_the_outage(own_valkey, key):
    fork = multiprocessing.get_context("fork")
    go, answers = fork.Event(), fork.Queue()
    other = fork.Process(target=_remember_in_another_process, args=(key, go, answers))
    connections.close_all()  # a child that ends must not hang up on the parent's behalf
    other.start()
    assert answers.get(timeout=20) == "before"
    own_valkey.kill()
    cache.invalidate("subscription")
    own_valkey.start()
    go.set()
    assert answers.get(timeout=20) == "after"
    other.join()


@pytest.mark.django_db(transaction=True)
def test_is_made_up_for_by_the_relay_too(own_valkey, key):
    source = Source("before")
    cache.remember("subscription", key, source)
    cache_recovery.note(["version:subscription:all"])
    duties["make up for missed invalidations"].function(None)
    source.value = "after"
    assert cache.remember("subscription", key, source) == "after"
    assert not MissedInvalidation.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_forgets_everything_when_the_server_came_back_with_an_older_memory(own_valkey, key):
    source = Source("before")
    cache.remember("subscription", key, source)
    own_valkey.kill()
    memory = {path: path.read_bytes() for path in own_valkey.folder.rglob("*") if path.is_file()}
    own_valkey.start()
    source.value = "after"
    cache.invalidate("subscription")
    own_valkey.kill()
    for path, content in memory.items():
        path.write_bytes(content)
    own_valkey.start()
    assert cache.remember("subscription", key, source) == "after"


@pytest.mark.django_db(transaction=True)
def test_goes_on_with_its_own_copy_of_the_catalogue_for_a_moment(own_valkey, key):
    own_valkey.kill()
    source = Source("before")
    for _ in range(10):
        cache.remember("plan", key, source)
    assert source.asked == 1
    source.value = "after"
    cache.invalidate("plan")
    assert cache.remember("plan", key, source) == "after"


@pytest.mark.django_db(transaction=True)
def test_starts_from_new_versions_after_a_flush(own_valkey, key):
    source = Source("before")
    cache.remember("plan", key, source)
    redis.client().flushall()
    source.value = "after"
    assert cache.remember("plan", key, source) == "after"


# --- Django's own cache ---


def test_is_read_as_json_and_never_unpickled(key):
    caches["default"].set(key, {"a": [1, 2]}, 30)
    assert caches["default"].get(key) == {"a": [1, 2]}
    raw = redis.client().get(f"ch:1:{key}")
    assert json.loads(raw) == {"a": [1, 2]}


def test_makes_every_look_a_miss_when_redis_is_down(own_valkey, settings, key):
    settings.CACHES = {
        **settings.CACHES,
        "default": {**settings.CACHES["default"], "LOCATION": own_valkey.url},
    }
    caches["default"].set(key, 1, 30)
    assert caches["default"].get(key) == 1
    own_valkey.kill()
    assert caches["default"].get(key, "nothing") == "nothing"
    own_valkey.start()
    assert caches["default"].get(key) == 1
