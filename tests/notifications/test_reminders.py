"""What comes near is told once; what was read long ago is removed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.actors import actor_of_user
from accounts.services import api_keys
from core import clock, jobs
from core.actor import SYSTEM
from core.schedules import declared
from notifications.models import Mail, Notification
from notifications.services import inbox, reminders, retention

pytestmark = pytest.mark.django_db


def key(organization, owner, days: int | None):
    now = clock.now()
    row, _ = api_keys.create(
        actor=actor_of_user(owner),
        organization=organization,
        name=f"in {days}",
        scopes=["billing.*"],
        expires_at=now + timedelta(days=days) if days else None,
        now=now,
    )
    return row


def test_tells_administrators_once_of_keys_that_expire_within_a_week(organization, owner, team_mate) -> None:
    for days in (3, 30, None):
        key(organization, owner, days)
    revoked = key(organization, owner, 2)
    api_keys.revoke(actor=actor_of_user(owner), api_key=revoked, now=clock.now())
    now = clock.now()
    assert [reminders.remind_of_expiring_keys(now=now + timedelta(hours=h)) for h in (0, 24)] == [1, 0]
    row = Notification.objects.get()
    assert (row.person, row.subject) == (owner, "The API key in 3 expires soon")
    assert Mail.objects.get().notification == row
    assert reminders.remind_of_expiring_keys(now=now + timedelta(days=24)) == 1


def test_removes_what_was_read_long_ago_and_keeps_the_rest(owner, settings) -> None:
    settings.NOTIFICATION_RETENTION_DAYS = 180
    now = clock.now()
    for name, read in (("old", now - timedelta(days=181)), ("fresh", now - timedelta(days=179)), ("unread", None)):
        inbox.tell(actor=SYSTEM, person=owner, kind="billing", subject=name, text="", unique=name)
        Notification.objects.filter(unique=name).update(read_at=read, created_at=now - timedelta(days=400))
    jobs.enqueue(retention.JOB, {}, actor=SYSTEM)
    jobs.drain()
    assert set(Notification.objects.values_list("unique", flat=True)) == {"fresh", "unread"}
    assert set(Mail.objects.values_list("notification__unique", flat=True)) == {"fresh", "unread"}
    assert retention.purge(now=now) == 0


def test_is_scheduled() -> None:
    assert {"notifications.make_digests", "notifications.remind", "notifications.purge"} <= set(declared)
