"""What several processes do at the same moment: told once, one digest a day, one mail."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connections

from accounts.actors import actor_of_user
from accounts.services import api_keys
from audit.models import Event
from core import clock
from core.actor import SYSTEM
from core.models import Job
from notifications.models import Mail, Notification
from notifications.services import digests, inbox

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 4


def at_once(work: Callable[[], Any]) -> list[Any]:
    """Run `work` in several threads that begin together; return what each returned."""
    barrier = Barrier(AT_ONCE)

    def run(_: int) -> Any:
        try:
            barrier.wait(30)
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, range(AT_ONCE)))


def test_tells_once_what_several_hand_over_together(organization, owner) -> None:
    for number in range(10):
        api_keys.create(
            actor=actor_of_user(owner),
            organization=organization,
            name=f"key {number}",
            scopes=["billing.*"],
            now=clock.now(),
        )
    events = list(Event.objects.filter(type="accounts.api_key.created").order_by("id"))
    assert sum(at_once(lambda: inbox.tell_of(events, now=clock.now()))) == 10
    assert Notification.objects.count() == Mail.objects.count() == 10
    assert Job.objects.filter(kind="notifications.send_mail").count() == 10


def test_makes_one_digest_a_day_for_each(owner, stranger) -> None:
    noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    for person in (owner, stranger):
        for number in range(5):
            inbox.tell(actor=SYSTEM, person=person, kind="receipts", subject="A", text="", unique=str(number))
    Notification.objects.update(created_at=noon - timedelta(hours=9))
    assert sum(at_once(lambda: digests.make_due(now=noon))) == 2
    assert Mail.objects.count() == Job.objects.filter(kind="notifications.send_mail").count() == 2
    assert not Notification.objects.filter(digest=None).exists()


def test_marks_everything_with_one_event_however_often_it_is_clicked(owner) -> None:
    for number in range(20):
        inbox.tell(actor=SYSTEM, person=owner, kind="billing", subject="A", text="", unique=str(number))
    now = clock.now() + timedelta(seconds=1)
    marked = at_once(lambda: inbox.mark_all_read(actor=actor_of_user(owner), now=now))
    assert sorted(marked) == [0] * (AT_ONCE - 1) + [20]
    assert Event.objects.filter(type="notifications.inbox.read").count() == 1
