"""Everything runs, people pay, and something is killed with -9 again and again. Nothing is lost or done twice."""

from __future__ import annotations

import os
import random
import sys
import time
from datetime import timedelta
from typing import Any

import pytest

from billing.models import Customer, Invoice, Payment, Subscription
from core import clock
from core.ids import decode
from core.models import IdempotencyKey
from tests.billing import factories
from tests.faults import effects
from tests.faults.house import House, eventually, sign_in
from tests.faults.load import Load
from tests.support.processes import Processes, Running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

# COUNTINGHOUSE_FAULT_ROUNDS: how often something is killed. From MANY on no waiting is cut short: leases of the dead
# run out and lost messages are missed in their own time.
ROUNDS = int(os.environ.get("COUNTINGHOUSE_FAULT_ROUNDS") or 8)
SEED = int(os.environ.get("COUNTINGHOUSE_FAULT_SEED") or random.SystemRandom().randrange(10**6))
MANY = 30


def test_loses_and_doubles_nothing_whatever_is_killed(processes: Processes, owner: Any, organization: Any) -> None:
    chance = random.Random(SEED)
    say(f"seed {SEED}, {ROUNDS} rounds")
    entity, price = factories.entity(), factories.price()
    today = clock.now()  # nothing is due by the real clock, by which the schedule goes
    older = [factories.subscription(factories.customer(billing_entity=entity), price, start=today) for _ in range(40)]
    house = House(processes).start()
    load = Load(house.url, sign_in(house.url, owner.email), price.public_id, most=40 * ROUNDS).start()
    renewals: list[Running] = []
    began = time.monotonic()
    try:
        for number in range(ROUNDS):
            if number % 4 == 1:
                renewals.append(renew(processes))
            time.sleep(chance.uniform(0.1, 2.5))
            house.kill(chance.choice(sorted(house.victims())))
    finally:
        load.stop()
    shot = time.monotonic() - began
    renewals.append(renew(processes))
    assert [each.process.wait(120) for each in renewals] == [0] * len(renewals)
    drained = drain(house)
    say(f"{dict(house.kills)} in {shot:.0f} s, drained in {drained:.0f} s; {len(load.sent)} keys")
    say(f"answers {dict(load.answers)}, the longest after {load.longest_seconds:.1f} s")
    say(f"{Payment.objects.count()} payments, {Invoice.objects.count()} invoices")
    assert not load.faults
    effects.check_everything()
    check_keys(load, older)
    assert processes.run("ledger_check").returncode == 0
    assert processes.run("audit_verify").returncode == 0


def say(text: str) -> None:
    """Shown when the test fails, and with `-s`."""
    sys.stdout.write(text + "\n")


def renew(processes: Processes) -> Running:
    moved = clock.now() + timedelta(days=32)
    return processes.command("renew", "--now", moved.isoformat())


def drain(house: House) -> float:
    """Wait until everything is done, the sweep of lost answers included."""
    if ROUNDS < MANY:
        house.forget_leases_of_the_dead()
    return eventually(effects.is_drained, "the end of all work", 240, effects.left_over)


def check_keys(load: Load, older: list[Subscription]) -> None:
    """Each key made one thing; sent again it is answered by the same bytes."""
    by_path: dict[str, list[Any]] = {}
    for sent in load.sent:
        by_path.setdefault(sent.path.split("/")[-1], []).append(sent)
    names = sorted(sent.body["name"] for sent in by_path["customers"])
    assert sorted(Customer.objects.filter(name__startswith="Customer ").values_list("name", flat=True)) == names
    assert Subscription.objects.count() == len(older) + len(by_path["subscriptions"])
    first = Invoice.objects.filter(reason="subscription_create")
    assert first.count() == len(by_path["subscriptions"])
    paid = [sent for sent in by_path["payments"] if sent.status == 201]
    for sent in paid:
        payment = Payment.objects.get(allocations__invoice=decode("inv", sent.body["invoice_id"]))
        assert payment.public_id.encode() in sent.content
    keys = IdempotencyKey.objects.filter(state="completed")
    assert keys.count() == IdempotencyKey.objects.count() == len(load.sent)
    for sent in load.sent[:: max(1, len(load.sent) // 60)]:
        again = load.send_again(sent)
        assert (again.status_code, again.content) == (sent.status, sent.content)
        assert again.headers["Idempotent-Replayed"] == "true"
