"""The real thing: web, worker and relay as processes; requests that crowd, workers that are killed."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from audit.models import Event
from billing.models import Customer, Invoice, LedgerLeg, Payment, Subscription
from billing.selectors import ledger as books
from core import clock
from core.models import Job
from tests.billing import factories
from tests.cast import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


def test_takes_one_payment_of_fifty_requests_with_one_key(processes: Any, owner: Any, customer: Customer) -> None:
    invoice = factories.invoice(customer)
    web = processes.web(threads=4)
    with httpx.Client(base_url=web.url, timeout=60) as client:
        sign_in = {"email": owner.email, "password": PASSWORD}
        token = client.post("/api/v1/auth/login", json=sign_in).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "one"}
    body = {"invoice_id": invoice.public_id}

    def pay(_: int) -> httpx.Response:
        return httpx.post(f"{web.url}/api/v1/payments", json=body, headers=headers, timeout=60)

    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(pay, range(50)))
    assert {reply.status_code for reply in replies} <= {201, 409}
    assert len({reply.content for reply in replies if reply.status_code == 201}) == 1
    payment = Payment.objects.get()
    assert payment.status == "succeeded"
    assert LedgerLeg.objects.filter(entry__source_id=payment.pk).count() == 2
    assert Event.objects.filter(subject_id=payment.pk).count() == 1
    other = {**body, "amount_minor": 1, "currency": "USD"}
    assert httpx.post(f"{web.url}/api/v1/payments", json=other, headers=headers, timeout=60).status_code == 422
    assert pay(0).status_code == 201
    assert Payment.objects.count() == 1


def test_renews_each_subscription_once_though_worker_and_relay_are_killed(processes: Any) -> None:
    entity, price = factories.entity(), factories.price()
    for _ in range(60):
        factories.subscription(factories.customer(billing_entity=entity), price, start=clock.now())
    moved = clock.now() + timedelta(days=32)  # nothing is due by the real clock, by which the schedule goes
    relay, worker = processes.relay(), processes.worker()
    renewal = processes.command("renew", "--now", moved.isoformat(), "--wait", "--json", "--timeout", "240")
    deadline = time.monotonic() + 60
    while Invoice.objects.count() < 10:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker.kill()
    relay.kill()
    processes.relay()
    processes.worker()
    assert renewal.process.wait(300) == 0, renewal.text
    result = json.loads(renewal.text.strip().splitlines()[-1])
    assert (result["enqueued"], result["dead"], result["open"]) == (60, 0, 0)
    assert Invoice.objects.filter(status="paid").count() == Invoice.objects.count() == 60
    assert Payment.objects.filter(status="succeeded").count() == Payment.objects.count() == 60
    assert Event.objects.filter(type="billing.subscription.renewed").count() == 60
    assert Subscription.objects.filter(current_period_end__gt=moved).count() == 60
    assert not Job.objects.filter(state="dead").exists()
    assert list(books.findings()) == []
    again = json.loads(processes.run("renew", "--now", moved.isoformat(), "--json").stdout.strip().splitlines()[-1])
    assert again["enqueued"] == 0
    assert processes.run("ledger_check").returncode == 0
