"""Customers of a telecom company are imported and renewed, while worker and relay are killed with -9."""

from __future__ import annotations

import csv
import json
import os
import random
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Sum

from billing.models import Invoice, InvoiceLine, Payment, Subscription
from billing.selectors import metrics
from core import clock
from core.models import Job
from core.money import Money
from tests.faults import effects
from tests.faults.house import House, eventually
from tests.support.processes import ROOT, Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

MAPPING = "docs/examples/telco.mapping.yaml"
SMALL = ROOT / "tests/billing/data/telco_small.csv"
ROWS = 240
KILLED_AT = (0.15, 0.5, 0.8)


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    """The file that COUNTINGHOUSE_TELCO_CSV names, or one of the same shape."""
    given = os.environ.get("COUNTINGHOUSE_TELCO_CSV")
    return Path(given) if given else made_up(tmp_path / "customers.csv")


def made_up(path: Path) -> Path:
    with SMALL.open() as file:
        known = list(csv.DictReader(file))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, known[0])
        writer.writeheader()
        for number in range(ROWS):
            charge = f"{random.randrange(1825, 11875) / 100:.2f}"
            change = {"customerID": f"{number:04}-MADE", "tenure": number % 72, "MonthlyCharges": charge}
            writer.writerow(known[number % len(known)] | change)
    return path


def test_bills_everybody_once_over_the_recurring_revenue_exactly(processes: Processes, customers: Path) -> None:
    imported = result(processes.run("import_customers", str(customers), "--mapping", MAPPING, "--json").stdout)
    active = Subscription.objects.filter(status="active").count()
    revenue = metrics.monthly_recurring_revenue()
    assert (imported["active"], imported["rejected"]) == (active, 0)
    assert active >= ROWS / 2
    assert revenue == [Money(imported["monthly_recurring_revenue"]["amount_minor"], "USD")]
    house = House(processes)
    house.start_workers()
    moved = clock.now() + timedelta(days=32)
    renewal = processes.command("renew", "--now", moved.isoformat(), "--wait", "--json", "--timeout", "1500")
    for share in KILLED_AT:
        eventually(has_invoices(share * active), "the next invoices", 600, lambda: renewal.text)
        house.worker.kill()
        house.relay.kill()
        time.sleep(random.uniform(0, 1))
        house.start_workers()
    assert renewal.process.wait(1500) == 0, renewal.text
    counts = result(renewal.text)
    assert (counts["enqueued"], counts["dead"], counts["open"]) == (active, 0, 0)
    check_invoices(active, revenue)
    again = result(processes.run("renew", "--now", moved.isoformat(), "--json").stdout)
    assert again["enqueued"] == 0
    eventually(effects.is_drained, "the end of all work", 120, effects.left_over)
    effects.check_everything()


def check_invoices(active: int, revenue: list[Money]) -> None:
    invoices = Invoice.objects.filter(reason="subscription_cycle")
    assert Invoice.objects.count() == invoices.count() == active
    renewed = set(InvoiceLine.objects.values_list("subscription_id", flat=True))
    assert renewed == set(Subscription.objects.filter(status="active").values_list("pk", flat=True))
    assert [Money(invoices.aggregate(total=Sum("total_minor"))["total"], "USD")] == revenue
    assert Payment.objects.filter(status="succeeded").count() == active
    assert not Job.objects.filter(state="dead").exists()


def has_invoices(count: float) -> Callable[[], bool]:
    return lambda: Invoice.objects.count() >= count


def result(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    return found
