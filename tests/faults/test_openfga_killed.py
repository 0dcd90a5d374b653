"""Tuples are carried to an OpenFGA server while the relay that carries them, and the server, which forgets all that it
had, are killed with -9: at the end the server has what PostgreSQL has, tuple by tuple."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from django.db import connection, transaction

from accounts.permissions import carrying
from accounts.permissions.engine import Engine, save_model
from accounts.permissions.faults import Refused
from accounts.permissions.language import parse
from accounts.permissions.models import OpenFGACopy, PermissionStore, RelationTuple
from accounts.permissions.providers.openfga import OpenFGAProvider
from accounts.permissions.providers.openfga_http import Address, Server
from accounts.permissions.tuples import Tuple
from core import clock
from core.models import Lease
from tests.contracts.test_permissions import MODEL, t
from tests.faults.house import eventually
from tests.faults.test_under_fire import SEED, say
from tests.support.openfga import start
from tests.support.processes import Processes, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

KILLS = int(os.environ.get("COUNTINGHOUSE_KILLS", "8"))
NARROWER = MODEL.replace("define shared: [user, user:*, group#member,", "define shared: [user, group#member,")
NAME = "killed"


class Writers:
    """Threads that write, delete and replace the same few tuples, each transaction of several; some roll back."""

    def __init__(self, engine: Engine, chance: random.Random) -> None:
        self.engine = engine
        self.done: Counter[str] = Counter()
        self._stop = threading.Event()
        seeds = [chance.random() for _ in range(3)]
        self._threads = [threading.Thread(target=self._run, args=(random.Random(seed),)) for seed in seeds]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, chance: random.Random) -> None:
        while not self._stop.is_set():
            time.sleep(chance.uniform(0, 0.01))
            try:
                with transaction.atomic():
                    for _ in range(chance.randint(1, 4)):
                        self._do(chance)
                        time.sleep(chance.uniform(0, 0.004))
                    if chance.random() < 0.1:
                        transaction.set_rollback(True)
                        self.done["rolled back"] += 1
            except Refused:
                self.done["refused"] += 1
            except Exception as fault:  # two that wait for each other: PostgreSQL ends one of them
                self.done[type(fault).__name__] += 1
        connection.close()

    def _do(self, chance: random.Random) -> None:
        one = self._tuple(chance)
        if chance.random() < 0.45:
            self.engine.delete([one])
            self.done["deleted"] += 1
        else:
            self.engine.write([one], on_duplicate="replace")
            self.done["written"] += 1

    def _tuple(self, chance: random.Random) -> Tuple:
        place = f"document:{chance.randrange(60)}"
        match chance.randrange(3):
            case 0:
                return t(f"{place}#owner@user:{chance.randrange(3)}")
            case 1:
                return t(f"{place}#shared@user:*")  # what the narrower model does not allow
        if chance.random() < 0.5:
            return t(f"{place}#shared@user:ann", "older_than", limit=chance.randrange(3))
        return t(f"{place}#shared@user:ann")


def test_has_at_the_end_what_postgresql_has(processes: Processes, tmp_path: Path) -> None:
    chance, port = random.Random(SEED), free_port()
    address, server = start(tmp_path, port=port)
    variables = {"PERMISSIONS_PROVIDER": "openfga", "OPENFGA_URL": address.address, "OPENFGA_STORE": NAME}
    store, _ = PermissionStore.objects.get_or_create(name=carrying.STORE)
    engine = save_model(store, parse(MODEL))
    engine.write([t(f"document:{number}#owner@user:before") for number in range(1200)])
    relay, writers = processes.relay(**variables), Writers(engine, chance)
    killed: Counter[str] = Counter()
    try:
        eventually(
            lambda: OpenFGACopy.objects.filter(is_copied=True).exists(),
            "the first copy",
            60,
            lambda: relay.text[-2000:],
        )
        for number in range(KILLS):
            time.sleep(chance.uniform(0.5, 3))
            if number % 4 == 2:
                save_model(store, parse(NARROWER if number % 8 == 2 else MODEL))
            if number % 4 == 3:
                server.kill()
                time.sleep(chance.uniform(0, 1))
                address, server = start(tmp_path, port=port)
                killed["server"] += 1
            else:
                relay.kill()
                Lease.objects.update(expires_at=clock.now())  # instead of a wait for the lease of the dead
                relay = processes.relay(**variables)
                killed["relay"] += 1
    finally:
        writers.stop()
    stopped = clock.now()
    drained = eventually(
        lambda: OpenFGACopy.objects.filter(is_copied=True, carried_at__gt=stopped).exists(),
        "the end of the carrying",
        150,
        lambda: relay.text[-2000:],
    )
    say(f"seed {SEED}; {dict(killed)}; {dict(writers.done)}; drained in {drained:.0f} s")
    compare(address.address, processes, variables)
    server.stop()


def compare(url: str, processes: Processes, variables: dict[str, str]) -> None:
    """By the command, and without its own word."""
    checked = processes.run("openfga_check", "--json", **variables)
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr[-3000:]
    report = json.loads(checked.stdout)
    provider = OpenFGAProvider(Server(Address(url)))
    found = provider.newest(provider.store_id(NAME))
    assert found is not None
    there = {(str(one), json.dumps(one.context)) for one in found.stored() if found.allows(one)}
    rows = RelationTuple.objects.values_list(
        "object_id", "relation", "subject_type", "subject_id", "condition", "context", "object_type"
    )
    here = set()
    for object_id, relation, subject_type, subject_id, condition, context, object_type in rows:
        one = t(f"{object_type}:{object_id}#{relation}@{subject_type}:{subject_id}", condition, **(context or {}))
        if found.allows(one):
            here.add((str(one), json.dumps(one.context)))
    assert there == here
    assert report["tuples"] == len(here) >= 1200
