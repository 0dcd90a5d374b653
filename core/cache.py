"""The cache: what was read may be remembered; what was written is never shown as it was before.

    plans = cache.remember("plan", "list", lambda: [...], organization_id=organization.id)
    cache.invalidate("plan", organization_id=organization.id, object_id=plan.id)      # inside the writing transaction

An entry's key is `cache:resource:id:query + organisation + who asks + versions`. To invalidate is to move a version by
one call; nothing is scanned. Values are JSON, and a miss returns what a hit would (the value as JSON reads it).

Nothing stale: a write moves its versions when it begins, keeps readers from storing until it ends, and moves them again
after the commit, so that being killed in between leaves nothing old behind. When Redis cannot be told, the move
is written into PostgreSQL in the same transaction (`MissedInvalidation`); a process that saw its link to Redis break
makes up for it before it trusts Redis again, and so does the relay each second (`core.cache_recovery`).
Many misses at once make one call of `produce`: one holds a lock, the others wait, or take the entry just expired.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from core import cache_recovery, redis
from core.telemetry import metrics

log = structlog.get_logger(__name__)

_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Resource:
    """`ttl`: seconds an entry is fresh. `local_seconds`: how long this process may go on with its own copy while Redis
    is down (0: not at all), during which a write of another process does not show."""

    name: str
    ttl: int
    local_seconds: int = 0


RESOURCES: dict[str, Resource] = {
    each.name: each
    for each in (
        Resource("plan", 60 * _MINUTE, local_seconds=10),
        Resource("pricing", 30 * _MINUTE, local_seconds=10),
        Resource("catalogue_list", 10 * _MINUTE, local_seconds=10),
        Resource("catalogue_detail", 15 * _MINUTE, local_seconds=10),
        Resource("count", 5 * _MINUTE, local_seconds=5),
        Resource("subscription", 2 * _MINUTE),
        Resource("session", 15 * _MINUTE),
        Resource("figure", _MINUTE),
    )
}

LOCK_MILLISECONDS = 10_000
WAIT_SECONDS = 5.0
OPEN_SECONDS = 60  # how long a write may be under way before its mark is forgotten


def remember(
    resource: str,
    key: str,
    produce: Callable[[], Any],
    *,
    organization_id: UUID | None = None,
    object_id: UUID | None = None,
    viewer: str | None = None,
    ttl: int | None = None,
) -> Any:
    """Return what `produce` returns (JSON-ready), remembered for `ttl` seconds (the resource's when absent).

    `key` says what is asked (the canonical query); `viewer` who asks, if the answer depends on it. With `object_id` the
    entry speaks of that one object and stands until it changes; without, until anything of the organisation does.
    """
    kind = RESOURCES[resource]
    base = _entry_key(resource, key, organization_id, object_id, viewer)
    depends_on = _dependencies(resource, organization_id, object_id)
    fresh_for = kind.ttl if ttl is None else ttl
    deadline = time.monotonic() + WAIT_SECONDS
    pause, token = 0.004, secrets.token_hex(8)
    try:
        while True:
            state, entry_key, entry = _look(depends_on, base, token)
            if state in ("hit", "stale"):
                metrics.CACHE_REQUESTS.labels(resource, state).inc()
                return _read(entry)
            if state != "wait" or time.monotonic() > deadline:
                break
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
    except redis.Unavailable as fault:
        log.warning("cache.redis_unavailable", fault=str(fault))
        return _without_redis(kind, base, produce)
    metrics.CACHE_REQUESTS.labels(resource, "bypass" if state == "open" else "miss").inc()
    try:
        text = json.dumps(produce(), separators=(",", ":"), ensure_ascii=False)
    except BaseException:
        _unlock(entry_key)
        raise
    if state != "open":
        _keep(entry_key, text, fresh_for)
    return json.loads(text)


def invalidate(resource: str, *, organization_id: UUID | None = None, object_id: UUID | None = None) -> None:
    """Forget what was remembered of an object, of an organisation, or (neither given) of the whole resource.

    Call it in the transaction that writes, when its rules have passed; it takes effect with the commit (after a
    rollback nothing new is kept for `OPEN_SECONDS`). An object's change drops the object's entries and the lists in
    which it may stand, and no other object's.
    """
    assert resource in RESOURCES, f"{resource} is not a resource of the cache"
    keys = _moved(resource, organization_id, object_id)
    _local.forget()
    if not transaction.get_connection().in_atomic_block:
        if not _move(keys, "move", ""):
            cache_recovery.note(keys)
        return
    token = secrets.token_hex(8)
    if not _move(keys, "open", token):
        cache_recovery.note(keys)
    transaction.on_commit(lambda: _settle(keys, token), robust=True)


def _settle(keys: list[str], token: str) -> None:
    _local.forget()
    if not _move(keys, "settle", token):
        cache_recovery.note(keys)


# --- keys ---


def _entry_key(
    resource: str, key: str, organization_id: UUID | None, object_id: UUID | None, viewer: str | None
) -> str:
    query = hashlib.sha256(key.encode()).hexdigest()[:32]
    who = hashlib.sha256((viewer or "").encode()).hexdigest()[:16] if viewer else "-"
    return f"cache:{resource}:{object_id or '-'}:{query}:{organization_id or '-'}:{who}"


def _dependencies(resource: str, organization_id: UUID | None, object_id: UUID | None) -> list[str]:
    """The versions on which an entry depends."""
    names = ["all"]
    if object_id is not None:
        names.append(f"object:{object_id}")
        if organization_id is not None:
            names.append(f"whole:{organization_id}")
    elif organization_id is not None:
        names += [f"organization:{organization_id}", "unowned"]
    else:
        names.append("lists")
    return [cache_recovery.EPOCH, *(f"version:{resource}:{name}" for name in names)]


def _moved(resource: str, organization_id: UUID | None, object_id: UUID | None) -> list[str]:
    """The versions that a change moves."""
    if organization_id is None and object_id is None:
        return [f"version:{resource}:all"]
    names = ["lists"]
    if object_id is not None:
        names.append(f"object:{object_id}")
    names.append(f"organization:{organization_id}" if organization_id is not None else "unowned")
    if object_id is None:
        names.append(f"whole:{organization_id}")
    return [f"version:{resource}:{name}" for name in names]


# --- Redis ---

_LOOK = redis.Script(Path(__file__).parent / "cache.lua")


def _look(depends_on: list[str], base: str, token: str) -> tuple[str, str, bytes | None]:
    """Look, and look again when a new link to Redis meanwhile showed that it had missed something."""
    generation = cache_recovery.make_up()
    for _ in range(5):
        arguments = [base, token, LOCK_MILLISECONDS]
        state, entry_key, entry = redis.ask(lambda server: _LOOK.run(server, depends_on, arguments))  # noqa: B023
        before, generation = generation, cache_recovery.make_up()
        if generation == before:
            return state.decode(), entry_key.decode(), entry
    raise redis.Unavailable("The link to Redis breaks again and again.")


def _read(entry: bytes | None) -> Any:
    assert entry is not None
    return json.loads(entry.split(b"|", 1)[1])


def _keep(entry_key: str, text: str, ttl: int) -> None:
    """Store an entry: fresh for `ttl` seconds, then at hand a little longer while it is refreshed."""

    def store(server: Any) -> None:
        seconds, micros = server.time()
        fresh_until = seconds * 1000 + micros // 1000 + ttl * 1000
        grace = min(ttl // 5, 30)
        with server.pipeline(transaction=False) as pipeline:
            pipeline.set(entry_key, f"{fresh_until}|{text}", px=(ttl + grace) * 1000)
            pipeline.delete(f"{entry_key}:lock")
            pipeline.execute()

    try:
        redis.ask(store)
    except redis.Unavailable as fault:
        log.warning("cache.redis_unavailable", fault=str(fault))


def _unlock(entry_key: str) -> None:
    try:
        redis.ask(lambda server: server.delete(f"{entry_key}:lock"))
    except redis.Unavailable:
        return  # the lock ends by itself


def _move(keys: list[str], mode: str, token: str) -> bool:
    """Move the versions; False when Redis could not be told."""
    try:
        redis.ask(lambda server: cache_recovery.MOVE.run(server, keys, [mode, token, OPEN_SECONDS]))
    except redis.Unavailable as fault:
        log.warning("cache.redis_unavailable", fault=str(fault), mode=mode)
        return False
    return True


# --- without Redis ---


class _Local:
    """The copies of this process, at most `most`, forgotten all at once by any write of its own."""

    def __init__(self, most: int = 1000) -> None:
        self._kept: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()
        self._most = most

    def get(self, key: str) -> str | None:
        with self._lock:
            until, text = self._kept.get(key, (0.0, ""))
            return text if until > time.monotonic() else None

    def put(self, key: str, text: str, seconds: float) -> None:
        with self._lock:
            self._kept[key] = (time.monotonic() + seconds, text)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()


_local = _Local()


def _without_redis(kind: Resource, base: str, produce: Callable[[], Any]) -> Any:
    text = _local.get(base) if kind.local_seconds else None
    metrics.CACHE_REQUESTS.labels(kind.name, "local" if text is not None else "unavailable").inc()
    if text is None:
        text = json.dumps(produce(), separators=(",", ":"), ensure_ascii=False)
        if kind.local_seconds:
            _local.put(base, text, kind.local_seconds)
    return json.loads(text)
