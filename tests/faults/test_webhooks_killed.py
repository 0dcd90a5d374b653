"""Worker and relay are killed with -9 while webhooks go out: each arrives at least once, marked by one id, in order.

COUNTINGHOUSE_KILLS says how often (default 5).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from accounts.actors import actor_of_user
from audit import record
from core import clock
from core.actor import SYSTEM
from core.events import Subject, catalogue
from core.ids import encode, new_id
from core.models import Job
from notifications.models import WebhookDelivery
from notifications.services import webhook_endpoints
from tests.faults.house import House, eventually
from tests.support.processes import Processes
from tests.support.receiver import Receiver, Says

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

KILLS = int(os.environ.get("COUNTINGHOUSE_KILLS", "5"))
SUBJECTS, EVENTS_BETWEEN_KILLS = 8, 40


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    found.answers = [Says(204, delay=0.02)]
    yield found
    found.close()


def test_brings_each_event_under_one_id_and_in_order(
    processes: Processes, receiver: Receiver, organization: Any, owner: Any
) -> None:
    endpoint, _ = webhook_endpoints.create(
        actor=actor_of_user(owner), organization=organization, url=receiver.url, event_types=["*"], now=clock.now()
    )
    house = House(processes)
    house.start_workers()
    subjects = [new_id() for _ in range(SUBJECTS)]
    happened: dict[str, UUID] = {}
    for _ in range(KILLS):
        for number in range(EVENTS_BETWEEN_KILLS):
            subject = subjects[number % SUBJECTS]
            with transaction.atomic():
                about = Subject("invoice", subject, organization.pk)
                event = record(catalogue["billing.invoice.paid"], actor=SYSTEM, subject=about)
            happened[encode("evt", event)] = subject
        time.sleep(random.uniform(0, 1.5))
        house.kill(random.choice(["worker", "relay", "worker child"]))
    began = len(receiver.came)
    eventually(
        lambda: _all_there(house, len(happened)),
        "the last webhook",
        300,
        lambda: (began, len(receiver.came), _states()),
    )
    assert set(receiver.ids) >= set(happened)
    deliveries = WebhookDelivery.objects.filter(endpoint=endpoint)
    assert deliveries.count() == len(happened)
    assert {row.payload["id"] for row in deliveries} == set(happened)
    for subject in subjects:
        first_seen = list(dict.fromkeys(name for name in receiver.ids if happened.get(name) == subject))
        assert first_seen == [name for name, whose in happened.items() if whose == subject]
    assert not Job.objects.filter(state="dead").exists()


def _all_there(house: House, count: int) -> bool:
    house.forget_leases_of_the_dead()
    time.sleep(1)
    return WebhookDelivery.objects.filter(status="succeeded").count() == count


def _states() -> Any:
    rows: Callable[..., Any] = WebhookDelivery.objects.values_list
    return sorted(set(rows("status", "attempts"))), Job.objects.exclude(state="succeeded").count()
