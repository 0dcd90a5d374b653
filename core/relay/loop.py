"""The relay's loop: lead, do the duties, wait to be woken, a second at most."""

from __future__ import annotations

import threading
import time
from typing import Any

import redis as redis_client
import structlog
from django.db import DatabaseError, InterfaceError, connection

from core import redis
from core.relay.duties import Duty, duties
from core.relay.lease import LEASE_SECONDS, HeldLease, NotLeading
from core.relay.wake import CHANNEL

LEASE_NAME = "relay"
POLL_SECONDS = 1.0
# Under load each round would find the two or three events that were written during the last one, and sealing them one
# by one cost more than the work itself: below this much the relay lets some more come together.
_FULL_ROUND, _BREATH = 500, 0.2
_REST_AFTER_FAULT = 2.0

log = structlog.get_logger(__name__)


class Relay:
    """One relay process. `run` returns after `stop`; `round` does every duty that is due once."""

    def __init__(self) -> None:
        self.lease = HeldLease.for_this_process(LEASE_NAME)
        self._stop = threading.Event()
        self._ears = Ears()
        self._due: dict[str, float] = {}

    def stop(self, *_: Any) -> None:
        """End after the duty that runs now."""
        self._stop.set()

    def run(self) -> None:
        """Lead as long as nobody else does; go on through restarts of PostgreSQL and Valkey."""
        log.info("relay_started", holder=self.lease.holder)
        with _LeaseKeeper(self.lease):
            while not self._stop.is_set():
                did = self._guarded_round()
                if did == 0:
                    self._wait(POLL_SECONDS)
                elif did < 0:
                    self._stop.wait(_REST_AFTER_FAULT)
                elif did < _FULL_ROUND:
                    self._stop.wait(_BREATH)
        self._leave()

    def round(self) -> int:
        """Take the lease if it is free and do what is due; return how much was done (0 when another one leads)."""
        if not self.lease.take():
            return 0
        did = 0
        for duty in sorted(duties.values(), key=lambda duty: (duty.order, duty.name)):
            if self._stop.is_set():
                break
            if time.monotonic() >= self._due.get(duty.name, 0.0):
                did += self._perform(duty)
        return did

    def run_once(self) -> int:
        """Do the duties until nothing is left to do, whatever their interval, and give the lease up; for tests and
        cron. Returns how much was done, or -1 when another relay leads."""
        if not self.lease.take():
            return -1
        total = 0
        while did := self.round():
            total += did
        self.lease.give_up()
        return total

    def _perform(self, duty: Duty) -> int:
        started = time.monotonic()
        try:
            did = duty.function(self.lease)
        except (NotLeading, DatabaseError, InterfaceError):
            raise
        except Exception:
            # One duty's fault must not stop the others.
            log.exception("relay_duty_failed", duty=duty.name)
            self._due[duty.name] = time.monotonic() + max(duty.every, _REST_AFTER_FAULT)
            return 0
        self._due[duty.name] = time.monotonic() + duty.every if duty.every else 0.0
        if did:
            log.debug("relay_did", duty=duty.name, count=did, seconds=round(time.monotonic() - started, 3))
        return did

    def _guarded_round(self) -> int:
        try:
            return self.round()
        except NotLeading:
            log.warning("relay_lost_lease", holder=self.lease.holder)
        except (DatabaseError, InterfaceError) as fault:
            log.warning("relay_fault", fault=str(fault).strip()[:300])
            connection.close()
        self.lease.token = 0
        return -1

    def _wait(self, seconds: float) -> None:
        if not self._ears.listen(seconds):
            self._stop.wait(seconds)

    def _leave(self) -> None:
        try:
            self.lease.give_up()
        except (DatabaseError, InterfaceError):
            log.warning("relay_lease_not_given_up")
        log.info("relay_stopped", holder=self.lease.holder)


class Ears:
    """Listens for wake-ups through Valkey. Without it the relay polls."""

    def __init__(self) -> None:
        self._subscription: Any = None

    def listen(self, seconds: float) -> bool:
        """Wait for a wake-up, `seconds` at most; return False at once when Valkey cannot be asked."""
        try:
            if self._subscription is None:
                self._subscription = redis.ask(_subscribe)
            if self._subscription.get_message(timeout=seconds) is not None:
                while self._subscription.get_message(timeout=0) is not None:
                    pass  # many wake-ups are one
        except (redis.Unavailable, redis_client.RedisError, OSError):
            self._subscription = None
            return False
        return True


def _subscribe(server: redis_client.Redis) -> Any:
    subscription: Any = server.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    subscription.subscribe(CHANNEL)
    return subscription


class _LeaseKeeper:
    """Renews the lease beside a long duty, on a connection of its own."""

    def __init__(self, lease: HeldLease) -> None:
        self._lease = lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="relay-lease", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=LEASE_SECONDS)

    def _keep(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / 3):
            try:
                if self._lease.token:
                    self._lease.hold()
            except (NotLeading, DatabaseError, InterfaceError):
                connection.close()
        connection.close()
