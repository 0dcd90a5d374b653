"""One payment, sent many times at once with one key, while the web server is killed with -9."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from billing.models import Customer, LedgerLeg, Payment
from core import clock
from core.models import IdempotencyKey
from tests.billing import factories
from tests.faults import effects
from tests.faults.house import LEASE, sign_in
from tests.support.processes import Processes, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

AT_ONCE = 50
# The card and the seconds after which the server is killed. A slow card is charged two seconds after it was asked for
# and answers two seconds later, so that these moments lie before, between and after; a quick one is hit anywhere.
MOMENTS = [
    ("tok_success", 0.02),
    ("tok_success", 0.3),
    ("tok_slow", 1.0),
    ("tok_slow", 3.2),
    ("tok_card_declined", 0.1),
]


def send(url: str, token: str, invoice_id: str, key: str, **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    return httpx.post(f"{url}/payments", json={"invoice_id": invoice_id, **more}, headers=headers, timeout=60)


def send_until_answered(url: str, token: str, invoice_id: str, key: str) -> httpx.Response:
    """Send it again after a broken connection and while the first one runs."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            reply = send(url, token, invoice_id, key)
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        if reply.status_code != 409:
            return reply
        assert reply.json()["code"] == "request_in_progress"
        time.sleep(0.5)
    raise AssertionError("no answer within 90 s")


def test_has_one_effect_though_the_server_is_killed(processes: Processes, owner: Any, organization: Any) -> None:
    entity, port = factories.entity(), free_port()
    url = f"http://127.0.0.1:{port}/api/v1"
    options = {"workers": 2, "port": port, "RATE_LIMIT_SCALE": "10000", "IDEMPOTENCY_LEASE": LEASE}
    web = processes.web(**options)
    token = sign_in(url, owner.email)
    for number, (card, seconds) in enumerate(MOMENTS):
        customer = factories.customer(organization=organization, billing_entity=entity, token=card)
        invoice, key = factories.invoice(customer).public_id, f"payment-{number}"
        with ThreadPoolExecutor(AT_ONCE) as pool:
            sent = [pool.submit(send_until_answered, url, token, invoice, key) for _ in range(AT_ONCE)]
            time.sleep(seconds * random.uniform(0.8, 1.2))
            web.kill()
            over = clock.now() - timedelta(seconds=1)  # nobody lives who could hold a lease: no half minute of waiting
            Payment.objects.filter(lease_until__isnull=False).update(lease_until=over)
            IdempotencyKey.objects.filter(state="claimed").update(lease_until=over)
            web = processes.web(**options)
            replies = [future.result() for future in sent]
        check(customer, replies, status=402 if "declined" in card else 201)
        other = send(url, token, invoice, key, amount_minor=1, currency="USD")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    effects.check_money()
    effects.check_invoices()
    assert Payment.objects.count() == len(MOMENTS)


def check(customer: Customer, replies: list[httpx.Response], *, status: int) -> None:
    assert Counter(reply.status_code for reply in replies) == {status: AT_ONCE}
    payment = Payment.objects.get(customer=customer)
    bodies = {reply.content for reply in replies}
    assert len(bodies) == 1
    assert payment.public_id.encode() in bodies.pop()
    assert LedgerLeg.objects.filter(entry__source_id=payment.pk).count() == (2 if status == 201 else 0)
