"""A payment whose process is killed with -9, at several points, and what is left: one effect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from billing.models import LedgerEntry, Payment
from billing.selectors import ledger as books
from billing.services import payments
from core import clock, jobs
from core.actor import SYSTEM
from core.models import Job
from core.relay.jobs import take_back
from core.relay.lease import HeldLease
from tests.billing import factories
from tests.billing.factories import NOW

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]
ROOT = Path(__file__).parents[2]

PAY = """
import os, sys
import django
django.setup()
from datetime import datetime
from billing.models import Invoice
from billing.services import payments
from core.actor import SYSTEM
print("ready", flush=True)
payments.create(actor=SYSTEM, invoice=Invoice.objects.get(pk=sys.argv[1]), operation_key="one",
                now=datetime.fromisoformat(sys.argv[2]))
print("done", flush=True)
"""


def charges() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sandbox_charges")
        return int(cursor.fetchone()[0])


def start(invoice_id: object) -> subprocess.Popen[str]:
    database = settings.DATABASES["default"]
    url = f"postgresql://{database['USER']}:{database['PASSWORD']}@/{database['NAME']}?host={database['HOST']}"
    if database.get("PORT"):
        url += f"&port={database['PORT']}"
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "project.settings"}
    return subprocess.Popen(
        [sys.executable, "-c", PAY, str(invoice_id), NOW.isoformat()],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(is_so: object, patience: float = 40) -> None:
    end = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("moment", ["the intent is committed", "the charge is made and its answer on its way"])
def test_ends_with_one_effect_when_killed_after(moment: str) -> None:
    """The sandbox waits two seconds before the charge and two after it: time enough to be killed at a known point."""
    invoice = factories.invoice(factories.customer(token="tok_slow"))
    process = start(invoice.pk)
    if moment.startswith("the intent"):
        wait_for(Payment.objects.exists)
        made = 0
    else:
        wait_for(lambda: charges() == 1)
        made = 1
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    payment = Payment.objects.get()
    assert (payment.status, charges()) == ("processing", made)
    assert not LedgerEntry.objects.filter(source_id=payment.pk).exists()

    Payment.objects.update(lease_until=clock.now() - timedelta(seconds=1))  # half a minute later
    again = payments.create(actor=SYSTEM, invoice=invoice, operation_key="one", now=NOW)
    assert (again.pk, again.status, again.attempt_count, charges()) == (payment.pk, "succeeded", 2, 1)
    assert LedgerEntry.objects.filter(source_id=payment.pk).count() == 1
    assert list(books.findings()) == []


def test_is_settled_by_the_sweep_when_nobody_sends_it_again() -> None:
    invoice = factories.invoice(factories.customer(token="tok_slow"))
    process = start(invoice.pk)
    wait_for(lambda: charges() == 1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    jobs.enqueue("billing.settle_open", {}, actor=SYSTEM)
    jobs.drain()
    assert Payment.objects.get().status == "processing"  # whoever was killed may still hold its lease
    Payment.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    jobs.enqueue("billing.settle_open", {}, actor=SYSTEM)
    jobs.drain()
    assert not Job.objects.exclude(state="succeeded").exists()
    assert (Payment.objects.get().status, charges()) == ("succeeded", 1)
    invoice.refresh_from_db()
    assert invoice.status == "paid"
    assert list(books.findings()) == []


def test_leaves_nothing_half_done_wherever_it_is_killed() -> None:
    """Kills at moments spread over the life of a quick payment; the same request sent again ends each with one charge
    and one entry."""
    for number in range(5):
        invoice = factories.invoice()
        process = start(invoice.pk)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(number * 0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        Payment.objects.update(lease_until=clock.now() - timedelta(seconds=1))
        payment = payments.create(actor=SYSTEM, invoice=invoice, operation_key="one", now=NOW)
        assert payment.status == "succeeded"
        assert LedgerEntry.objects.filter(source_id=payment.pk).count() == 1
        assert charges() == number + 1
        Payment.objects.filter(pk=payment.pk).update(operation_key=f"done:{number}")  # free for the next round
    assert list(books.findings()) == []


@pytest.mark.parametrize("kind", ["settle_payment", "settle_refund", "collect_invoice", "renew_subscription"])
def test_takes_the_work_of_a_killed_worker_back_instead_of_burying_it(kind: str) -> None:
    job = jobs.enqueue(f"billing.{kind}", {}, actor=SYSTEM)
    over = clock.now() - timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(state="running", attempts=1, token=1, lease_until=over)
    lease = HeldLease.for_this_process("relay")
    assert lease.take()
    assert take_back(lease) == 1
    assert Job.objects.get(pk=job.pk).state == "queued"
