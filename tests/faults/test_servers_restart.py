"""Valkey and PostgreSQL go away and come back: web, worker and relay go on by themselves."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from django.db import connection

from audit.models import Unsealed
from billing.services import products
from core import jobs
from core.actor import SYSTEM
from core.ids import new_id
from core.models import Job
from tests.billing import factories
from tests.faults import effects
from tests.faults.house import House, eventually, own_servers, sign_in
from tests.faults.load import Load
from tests.settings import SERVERS
from tests.support.database import owner_url
from tests.support.processes import Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

RECONNECT_SECONDS = 15.0  # a worker looks for its broker every five seconds at least
RECOVERY_SECONDS = 25.0  # less than the half minute after which a message counts as lost by itself


@pytest.fixture
def house(processes: Processes) -> House:
    own_servers()
    return House(processes).start()


@pytest.fixture
def token(house: House, owner: Any, organization: Any) -> str:
    return sign_in(house.url, owner.email)


@pytest.fixture
def _commits_are_kept(django_db_setup: None) -> Iterator[None]:
    """The test cluster does not wait for its log to be written, as the product's does: here it must."""
    own_servers()
    assert SERVERS is not None
    with psycopg.connect(SERVERS.superuser_url, autocommit=True) as superuser:
        superuser.execute("alter role countinghouse_app set synchronous_commit = on")
    yield
    with psycopg.connect(SERVERS.superuser_url, autocommit=True) as superuser:
        superuser.execute("alter role countinghouse_app reset synchronous_commit")


def subscribe(house: House, token: str) -> httpx.Response:
    """Make a customer with a card and a subscription that is paid at once; return the last answer."""
    price = factories.price()
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:

        def post(path: str, body: dict[str, Any]) -> httpx.Response:
            return client.post(f"{house.url}/{path}", json=body, headers={"Idempotency-Key": new_id().hex})

        customer = post("customers", {"name": "Somebody", "currency": "USD"}).json()["id"]
        post(f"customers/{customer}/payment-methods", {"token": "tok_success"})
        return post("subscriptions", {"customer_id": customer, "items": [{"price_id": price.public_id}]})


def is_done(job: Job) -> bool:
    return Job.objects.get(pk=job.pk).state == "succeeded"


def test_everything_goes_on_without_valkey_and_uses_it_again(house: House, token: str) -> None:
    factories.entity()
    assert subscribe(house, token).status_code == 201
    eventually(effects.is_drained, "the end of what was ordered before", 60, effects.left_over)
    lost = jobs.enqueue("billing.settle_open", {}, actor=SYSTEM)
    assert SERVERS is not None
    pid = SERVERS.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    SERVERS.valkey.stop()
    began = time.monotonic()
    reply = subscribe(house, token)
    assert (reply.status_code, reply.json()["status"]) == (201, "active")
    assert time.monotonic() - began < 10, "nobody waits for a server that is down"
    eventually(lambda: not Unsealed.objects.exists(), "sealing without Valkey", 20)
    waiting = jobs.enqueue("billing.settle_open", {}, actor=SYSTEM)
    assert all(each.is_alive for each in (house.web, house.worker, house.relay))
    SERVERS.valkey.start()
    eventually(lambda: is_done(waiting), "work ordered while Valkey was down", RECONNECT_SECONDS, effects.left_over)
    eventually(lambda: is_done(lost), "work whose message Valkey forgot", RECONNECT_SECONDS, effects.left_over)
    fresh = jobs.enqueue("billing.settle_open", {}, actor=SYSTEM)
    assert eventually(lambda: is_done(fresh), "new work", RECOVERY_SECONDS) < 10
    assert subscribe(house, token).status_code == 201
    assert all(each.is_alive for each in (house.web, house.worker, house.relay))
    eventually(effects.is_drained, "the end of all work", 60, effects.left_over)
    effects.check_everything()


def test_nobody_waits_long_for_a_valkey_that_hangs(processes: Processes) -> None:
    own_servers()
    relay, worker = processes.relay(), processes.worker()
    job = jobs.enqueue("billing.settle_open", {}, actor=SYSTEM)
    eventually(lambda: is_done(job), "work before", RECONNECT_SECONDS)
    assert SERVERS is not None
    pid = SERVERS.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        waiting = [jobs.enqueue("billing.settle_open", {}, actor=SYSTEM) for _ in range(5)]
        assert time.monotonic() - began < 5, "a request waits for the broker once, and not for long"
        for number in range(4):
            products.create(actor=SYSTEM, name=f"Product {number}")
            eventually(lambda: not Unsealed.objects.exists(), "sealing", 8)
            time.sleep(1)
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: all(map(is_done, waiting)), "work ordered meanwhile", RECONNECT_SECONDS, effects.left_over)
    assert relay.is_alive
    assert worker.is_alive


@pytest.mark.parametrize("seconds", [0.0, 0.3, 2.0])
def test_a_worker_outlives_a_valkey_that_dies_while_it_works(processes: Processes, seconds: float) -> None:
    """Killed amid messages that are taken, run and acknowledged: the same process works again soon after."""
    own_servers()
    house = House(processes)
    house.start_workers()
    for number in range(4):
        for _ in range(40):
            jobs.enqueue("billing.settle_open", {}, actor=SYSTEM)
        time.sleep(random.uniform(0, 0.3))
        house.kill_valkey(seconds)
        fresh = jobs.enqueue("billing.settle_open", {}, actor=SYSTEM)
        eventually(lambda job=fresh: is_done(job), f"work after crash {number}", RECONNECT_SECONDS, effects.left_over)
        assert house.worker.is_alive, house.worker.text[-3000:]
    eventually(effects.is_drained, "the end of all work", 60, effects.left_over)


@pytest.mark.usefixtures("_commits_are_kept")
def test_nothing_is_lost_when_postgresql_crashes_and_restarts(house: House, token: str) -> None:
    factories.entity()
    load = Load(house.url, token, factories.price().public_id, people=4, most=60).start()
    try:
        for crash in (kill_a_backend, restart_at_once):
            time.sleep(random.uniform(1, 3))
            crash()
            eventually(is_up, "PostgreSQL", 30)
            down = time.monotonic()
            eventually(lambda: is_ready(house), "the web", RECOVERY_SECONDS)
            job = jobs.enqueue("billing.settle_open", {}, actor=SYSTEM)
            eventually(lambda job=job: is_done(job), "new work", RECOVERY_SECONDS, effects.left_over)
            assert time.monotonic() - down < RECOVERY_SECONDS
    finally:
        load.stop()
    assert all(each.is_alive for each in (house.web, house.worker, house.relay))
    house.forget_leases_of_the_dead()
    eventually(effects.is_drained, "the end of all work", 120, effects.left_over)
    assert not load.faults
    assert len(load.sent) > 10
    effects.check_everything()


def kill_a_backend() -> None:
    """Kill one process that serves a connection: PostgreSQL ends all the others and recovers from its log."""
    with psycopg.connect(owner_url(), autocommit=True) as own:
        row = own.execute(
            "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
            "and backend_type = 'client backend' order by random() limit 1"
        ).fetchone()
        assert row is not None
        os.kill(row[0], signal.SIGKILL)
    connection.close()


def restart_at_once() -> None:
    """Stop as by a power cut of its clients (SIGQUIT: nothing is written), and start."""
    assert SERVERS is not None
    postmaster = SERVERS.postgres.pid
    assert postmaster is not None
    os.kill(postmaster, signal.SIGQUIT)
    assert SERVERS.postgres._wait(20)
    SERVERS.postgres.start()
    connection.close()


def is_up() -> bool:
    try:
        psycopg.connect(owner_url(), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def is_ready(house: House) -> bool:
    try:
        return httpx.get(house.url.replace("/api/v1", "/health/ready"), timeout=5).status_code == 200
    except httpx.TransportError:
        return False
