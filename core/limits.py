"""Rate limits: one table of policies, one sliding limit for all processes.

Each policy is a cell of the generic cell rate algorithm (GCRA): `limit` requests may come at once, and one more every
`window / limit` seconds. The decision is one script call on Redis or Valkey by the server's own clock (`limits.lua`),
so that neither the number of processes nor the edge of a window nor a wrong clock of ours multiplies it.

With Redis down the policies of sign-in and sign-up count inside each process (they never stand open); the others let
requests through. `RATE_LIMIT_SCALE` multiplies every limit (load tests).
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings

from core import context, redis
from core.actor import ANONYMOUS, Actor, ActorType
from core.errors import LimitReached
from core.telemetry import metrics

log = structlog.get_logger(__name__)

_MINUTE = 60
_QUARTER = 15 * _MINUTE
_DAY = 24 * 60 * _MINUTE


@dataclass(frozen=True, slots=True)
class Policy:
    """`limit` requests per `window` seconds. Repeat offenders wait longer each time, up to `longest_penalty` seconds.
    `is_guard` marks what never stands open: with Redis down it counts in the process."""

    name: str
    limit: int
    window: int
    longest_penalty: int = 0
    is_guard: bool = False


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy("anonymous", 100, _QUARTER, longest_penalty=_QUARTER),  # per address
        Policy("user", 60, _MINUTE, longest_penalty=_MINUTE),  # per user, times the tier of the plan
        Policy("organization", 600, _MINUTE, longest_penalty=_MINUTE),  # all API keys of one organisation together
        Policy("ask", 20, _MINUTE, longest_penalty=_MINUTE),  # questions to the assistant, per user or key
        Policy("sign_in_account", 5, _QUARTER, longest_penalty=_DAY, is_guard=True),  # failures, account + address
        Policy("sign_in_address", 20, _QUARTER, longest_penalty=_DAY, is_guard=True),  # failures, address
        Policy("sign_up_account", 5, _QUARTER, longest_penalty=_DAY, is_guard=True),
        Policy("sign_up_address", 20, _QUARTER, longest_penalty=_DAY, is_guard=True),
        Policy("admin_door", 60, _QUARTER, is_guard=True),  # every POST to the staff sign-in, address
    )
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a limit. `reset_seconds`: until the whole limit is there again; `retry_after`: until the next
    request may come (0 when allowed)."""

    policy: str
    allowed: bool
    limit: int
    window: int
    remaining: int
    reset_seconds: int
    retry_after: int

    @property
    def headers(self) -> dict[str, str]:
        """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), `Retry-After` (RFC 9110)."""
        found = {
            "RateLimit-Policy": f'"{self.policy}";q={self.limit};w={self.window}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.reset_seconds}',
        }
        if not self.allowed:
            found["Retry-After"] = str(self.retry_after)
        return found

    def or_raise(self) -> Verdict:
        """Return this verdict when it allows. Raises `LimitReached` with the headers."""
        if self.allowed:
            return self
        raise LimitReached(
            f"Too many requests. Come back in {self.retry_after} seconds.",
            headers=self.headers,
            policy=self.policy,
            retry_after=self.retry_after,
        )


def address(ip: str) -> str:
    """Return the key of an address: IPv4 as it is, IPv6 by its /64 (one household or machine owns that many)."""
    try:
        parsed = ipaddress.ip_address(ip)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


# --- ports -----------------------------------------------------------------------------------------------------------

_tier: Callable[[Actor], float] = lambda actor: 1.0  # noqa: E731
_quota: Callable[[UUID], int | None] = lambda organization_id: None  # noqa: E731


def use_tier(function: Callable[[Actor], float]) -> None:
    """Fill the port that says by what a user's limit is multiplied (the plan's tier)."""
    global _tier
    _tier = function


def use_quota(function: Callable[[UUID], int | None]) -> None:
    """Fill the port that says how many requests a minute the API keys of an organisation have (None: the table's)."""
    global _quota
    _quota = function


# --- decisions -------------------------------------------------------------------------------------------------------


def hit(policy: str, subject: str, cost: int = 1, *, limit: float | None = None) -> Verdict:
    """Take `cost` from the limit of `subject`. `limit` replaces the table's. Records a strike when refused."""
    return _decide(policy, subject, cost, "hit", limit)


def peek(policy: str, subject: str) -> Verdict:
    """Say what `hit` would answer, and take nothing."""
    return _decide(policy, subject, 1, "peek", None)


def failure(policy: str, subject: str) -> Verdict:
    """Count a failure of `subject`, also beyond the limit. For failures that are known without an attempt of ours;
    around a guess use `attempt`, which cannot be outrun by guesses sent at once."""
    return _decide(policy, subject, 1, "force", None)


def refund(policy: str, subject: str, cost: int = 1) -> None:
    """Give back what `hit` took."""
    _decide(policy, subject, cost, "refund", None)


def check(policy: str, subject: str, cost: int = 1) -> Verdict:
    """`hit`, and raise `LimitReached` (429, with its headers) when refused."""
    return hit(policy, subject, cost).or_raise()


class Attempt:
    """One guess. Say `succeeded()` and it is free."""

    def __init__(self) -> None:
        self.is_free = False

    def succeeded(self) -> None:
        self.is_free = True


@contextmanager
def attempt(*limits: tuple[str, str]) -> Iterator[Attempt]:
    """Run one guess under failure limits `(policy, subject)`: a failure counts, a success does not.

        with limits.attempt(*limits.sign_in(email, ip)) as attempt:
            user = authenticate(...)
            attempt.succeeded()

    The place is taken before the guess and given back after a success, so that fifty guesses at once cannot pass a
    limit of five. A crash of ours is free too. Raises `LimitReached` before the block runs.
    """
    taken: list[tuple[str, str]] = []
    for policy, subject in limits:
        verdict = hit(policy, subject)
        if not verdict.allowed:
            for name, key in taken:
                refund(name, key)
            verdict.or_raise()
        taken.append((policy, subject))
    guess = Attempt()
    try:
        yield guess
    except Exception as error:
        guess.is_free = guess.is_free or getattr(error, "status", 500) >= 500
        raise
    finally:
        if guess.is_free:
            for policy, subject in taken:
                refund(policy, subject)


def sign_in(account: str, ip: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the two limits of a sign-in for `attempt`: account + address, and address."""
    return (("sign_in_account", f"{account.strip().lower()}|{address(ip)}"), ("sign_in_address", address(ip)))


def sign_up(account: str, ip: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the two limits of a sign-up for `attempt`: account + address, and address."""
    return (("sign_up_account", f"{account.strip().lower()}|{address(ip)}"), ("sign_up_address", address(ip)))


def enforce(request: Any) -> Verdict:
    """Count a request of the API against the limit of who sends it; returns the verdict for the headers.

    Anonymous: per address. Users and staff: per user, times the tier. Keys and service accounts: per organisation.
    Raises `LimitReached`.
    """
    actor: Actor = getattr(request, "actor", None) or ANONYMOUS
    if actor.is_anonymous or actor.id is None:
        ip = context.current().ip or request.META.get("REMOTE_ADDR", "")
        return hit("anonymous", address(ip)).or_raise()
    if actor.type in (ActorType.API_KEY, ActorType.SERVICE_ACCOUNT) and actor.organization_id is not None:
        quota = _quota(actor.organization_id)
        return hit("organization", str(actor.organization_id), limit=quota).or_raise()
    return hit("user", str(actor.id), limit=POLICIES["user"].limit * _tier(actor)).or_raise()


def write_headers(response: Any, verdict: Verdict | None) -> None:
    """Write the verdict's headers on a reply (nothing when there is no verdict)."""
    for name, value in (verdict.headers if verdict else {}).items():
        response.headers.setdefault(name, value)


# --- the cell --------------------------------------------------------------------------------------------------------

_CELL = redis.Script(Path(__file__).parent / "limits.lua")


def _decide(name: str, subject: str, cost: int, mode: str, limit: float | None) -> Verdict:
    policy = POLICIES[name]
    scale = getattr(settings, "RATE_LIMIT_SCALE", 1.0)
    size = max(1, round((policy.limit if limit is None else limit) * scale))
    key = f"limit:{name}:{hashlib.sha256(subject.encode()).hexdigest()[:32]}"
    try:
        allowed, remaining, reset, retry = redis.ask(lambda server: _run(server, policy, key, size, cost, mode))
        outcome = "allowed" if allowed else "refused"
    except redis.Unavailable as fault:
        log.warning("limits.redis_unavailable", policy=name, is_guard=policy.is_guard, fault=str(fault))
        outcome = "local" if policy.is_guard else "open"
        local = _local.decide(key, policy.window, size, cost, mode) if policy.is_guard else (1, size, 0, 0)
        allowed, remaining, reset, retry = local
    if mode in ("hit", "force"):
        metrics.LIMIT_DECISIONS.labels(name, outcome).inc()
    return Verdict(
        policy=name,
        allowed=bool(allowed),
        limit=size,
        window=policy.window,
        remaining=int(remaining),
        reset_seconds=math.ceil(reset / 1e6),
        retry_after=0 if allowed else max(1, math.ceil(retry / 1e6)),
    )


def _run(server: Any, policy: Policy, key: str, size: int, cost: int, mode: str) -> Any:
    arguments = [policy.window * 10**6, size, cost, mode, policy.longest_penalty * 10**6]
    return _CELL.run(server, [key, f"{key}:strikes"], arguments)


class _LocalCells:
    """The same cells inside one process, for the guards while Redis is down. At most `most` subjects are kept."""

    def __init__(self, most: int = 10_000) -> None:
        self._arrivals: dict[str, float] = {}
        self._lock = threading.Lock()
        self._most = most

    def decide(self, key: str, window: int, size: int, cost: int, mode: str) -> tuple[int, int, float, float]:
        """As `limits.lua`, without penalties. Returns allowed, remaining, microseconds to reset and to retry."""
        with self._lock:
            now = time.monotonic()
            interval = window / size
            arrival = max(self._arrivals.get(key, 0.0), now)
            step = -cost * interval if mode == "refund" else cost * interval
            after = max(now, arrival + step)
            wait = max(0.0, after - window - now)
            allowed = mode == "refund" or wait <= 1e-6
            if mode == "force" or (allowed and mode != "peek"):
                arrival = min(after, now + window)
                self._keep(key, arrival, now)
            remaining = max(0, math.floor((window - (arrival - now)) / interval + 1e-6))
            return int(allowed), remaining, (arrival - now) * 1e6, wait * 1e6

    def _keep(self, key: str, arrival: float, now: float) -> None:
        self._arrivals[key] = arrival
        if len(self._arrivals) > self._most:
            live = sorted((at, name) for name, at in self._arrivals.items() if at > now)
            self._arrivals = {name: at for at, name in live[-self._most :]}

    def clear(self) -> None:
        with self._lock:
            self._arrivals.clear()


_local = _LocalCells()


def forget(subjects: Mapping[str, str]) -> None:
    """Lift the limits of `{policy: subject}`, penalties too (staff unlock an account)."""
    keys = [f"limit:{name}:{hashlib.sha256(subject.encode()).hexdigest()[:32]}" for name, subject in subjects.items()]
    with_strikes = [*keys, *(f"{key}:strikes" for key in keys)]
    try:
        redis.ask(lambda server: server.delete(*with_strikes))
    except redis.Unavailable as fault:
        log.warning("limits.redis_unavailable", fault=str(fault))
