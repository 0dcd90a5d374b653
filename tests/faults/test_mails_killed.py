"""People are told while worker and relay are killed with -9: each thing once in the inbox, each mail at least once, and
marked by one id."""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest

from accounts.actors import actor_of_user
from accounts.models import Organization, User
from accounts.services import api_keys
from audit.models import Follower, Tree, Unsealed
from core import clock
from core.models import Job
from notifications.followers import INBOX
from notifications.models import Mail, Notification
from tests.faults.house import House, eventually
from tests.support.processes import Processes
from tests.support.smtp import Server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

KILLS = int(os.environ.get("COUNTINGHOUSE_KILLS", "8"))
NEWS_BETWEEN = 4


def is_told(wanted: int) -> bool:
    follower = Follower.objects.filter(name=INBOX).first()
    return (
        not Unsealed.objects.exists()
        and follower is not None
        and follower.position == Tree.objects.get().size
        and Notification.objects.filter(kind="api_keys").count() >= wanted
        and not Mail.objects.filter(state="queued").exists()
    )


def test_tells_each_thing_once_and_mails_it_under_one_id(
    processes: Processes, organization: Organization, owner: User
) -> None:
    with Server() as server:
        house = House(processes, MAIL_URL=f"smtp://127.0.0.1:{server.sink.port}")
        house.start_workers()
        eventually(Follower.objects.filter(name=INBOX).exists, "the follower", 60)
        made = 0
        for number in range(KILLS):
            for _ in range(NEWS_BETWEEN):
                api_keys.create(
                    actor=actor_of_user(owner),
                    organization=organization,
                    name=f"key {made}",
                    scopes=["billing.*"],
                    now=clock.now(),
                )
                made += 1
            time.sleep(random.uniform(0, 1.5))
            (house.kill_worker if number % 2 else house.kill_relay)()
            house.forget_leases_of_the_dead()
        eventually(lambda: is_told(made), "the end of all mails", 180, lambda: _left())
        counted = Counter(server.sink.message_ids)
    rows = Notification.objects.filter(person=owner, kind="api_keys")
    assert rows.count() == rows.values("event_id").distinct().count() == made
    mails = Mail.objects.filter(notification__in=rows)
    assert set(mails.values_list("state", flat=True)) == {"sent"}
    assert {mail.message_id for mail in mails} == set(counted)
    assert len(counted) == made
    assert not Job.objects.filter(state="dead").exists()


def _left() -> object:
    return {
        "unsealed": Unsealed.objects.count(),
        "follower": list(Follower.objects.filter(name=INBOX).values()),
        "told": Notification.objects.count(),
        "mails": list(Mail.objects.values("state", "reason", "attempts")[:50]),
        "jobs": list(Job.objects.exclude(state="succeeded").values("kind", "state", "error", "run_at")[:10]),
    }
