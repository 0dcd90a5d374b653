"""The whole product as processes, any of which can be killed with -9 and started again."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from billing.models import Payment
from core import clock, jobs
from core.actor import SYSTEM
from core.models import IdempotencyKey, Job, Lease
from tests.cast import PASSWORD
from tests.settings import SERVERS
from tests.support.processes import Processes, Running, Web, free_port

# Longer than any request of these tests; what is killed may be sent again after this many seconds.
LEASE = "6"
FREE_OF_LIMITS = "10000"
_CRASH_LOOP_SECONDS = 12.0  # granian starts a worker anew after 3.5 s and wants it to live for 5.5

logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request would bury what matters


class House:
    """Web (two workers), worker, relay, and the Valkey of this test process."""

    web: Web
    worker: Running
    relay: Running

    def __init__(self, processes: Processes, **variables: str) -> None:
        self._processes = processes
        self._port = free_port()
        self._variables = {"RATE_LIMIT_SCALE": FREE_OF_LIMITS, "IDEMPOTENCY_LEASE": LEASE, **variables}
        self.kills: Counter[str] = Counter()
        self._web_child_died = -_CRASH_LOOP_SECONDS

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/api/v1"

    def start(self) -> House:
        self._start_web()
        self.start_workers()
        return self

    def start_workers(self) -> None:
        """Start worker and relay only."""
        self._start_worker()
        self._start_relay()

    def _start_web(self) -> None:
        self.web = self._processes.web(workers=2, threads=3, port=self._port, **self._variables)

    def _start_worker(self) -> None:
        self.worker = self._processes.worker(**self._variables)

    def _start_relay(self) -> None:
        self.relay = self._processes.relay(**self._variables)

    def victims(self) -> dict[str, Callable[[], None]]:
        """Return what can be killed, and how."""
        found = {
            "web": self.kill_web,
            "worker": self.kill_worker,
            "relay": self.kill_relay,
            "web child": self.kill_web_child,
            "worker child": lambda: self._kill_child(self.worker),
        }
        return found if SERVERS is None or SERVERS.is_valkey_given else {**found, "valkey": self.kill_valkey}

    def kill(self, name: str) -> None:
        self.victims()[name]()
        self.kills[name] += 1

    def kill_web(self) -> None:
        self.web.kill()
        self._start_web()

    def kill_web_child(self) -> None:
        """Kill one process of the web. One that dies again soon after its start granian takes for one that cannot live,
        and ends itself: then its keeper starts the whole anew, as `dev` does. Here nobody keeps it but this."""
        if time.monotonic() - self._web_child_died < _CRASH_LOOP_SECONDS:
            self.kill_web()
            return
        self._web_child_died = time.monotonic()
        self._kill_child(self.web)

    def kill_worker(self) -> None:
        self.worker.kill()
        self._start_worker()

    def kill_relay(self) -> None:
        self.relay.kill()
        self._start_relay()

    def kill_valkey(self, seconds: float = 0.0) -> None:
        """Kill Valkey, which forgets all that it had, and start it `seconds` later."""
        assert SERVERS is not None
        pid = SERVERS.valkey.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        SERVERS.valkey.stop()
        time.sleep(seconds)
        SERVERS.valkey.start()

    def _kill_child(self, parent: Running) -> None:
        """Kill one process of a pool; its parent shall replace it."""
        if children := parent.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(children), signal.SIGKILL)

    def forget_leases_of_the_dead(self) -> None:
        """Let what would be half a minute of waiting be over: leases end, messages that nobody took count as lost.
        Who lives goes on all the same: tokens and provider keys fence whoever comes second."""
        past, long_ago = clock.now() - timedelta(seconds=1), clock.now() - timedelta(minutes=11)
        Lease.objects.filter(expires_at__gt=past).update(expires_at=past)
        Job.objects.filter(state="running").update(lease_until=past)
        Job.objects.filter(state="queued", run_at__lte=clock.now(), published_at__isnull=False).update(
            published_at=long_ago
        )
        Payment.objects.filter(lease_until__isnull=False).update(lease_until=past)
        IdempotencyKey.objects.filter(state="claimed").update(lease_until=past)
        jobs.enqueue("billing.settle_open", {}, actor=SYSTEM)


def sign_in(url: str, email: str) -> str:
    """Return an access token of the person of the cast with that address."""
    reply = httpx.post(f"{url}/auth/login", json={"email": email, "password": PASSWORD}, timeout=30)
    return str(reply.json()["access_token"])


def own_servers() -> None:
    """Skip the test where the servers were given, since they are not ours to kill."""
    if SERVERS is None or SERVERS.is_database_given or SERVERS.is_valkey_given:
        pytest.skip("DATABASE_URL or REDIS_URL names a server that is not ours to kill.")


def eventually(is_so: Callable[[], bool], what: str, seconds: float, describe: Callable[[], object] = str) -> float:
    """Wait until `is_so()`; return after how many seconds. Raises AssertionError."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds, f"{what} did not come within {seconds} s: {describe()}"
        time.sleep(0.2)
    return time.monotonic() - began
