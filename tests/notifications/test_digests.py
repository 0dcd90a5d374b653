"""The digest: one a day, at eight where the person is, of what is unread."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.actors import actor_of_user
from core import jobs
from core.actor import SYSTEM
from core.models import Job
from core.time_zones import names
from notifications.models import Mail, Notification
from notifications.services import digests, inbox
from notifications.services.digests import due_on

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def tell(person, unique: str, at: datetime, kind: str = "receipts") -> Notification:
    row = inbox.tell(actor=SYSTEM, person=person, kind=kind, subject=f"News {unique}", text="So.", unique=unique)
    Notification.objects.filter(pk=row.pk).update(created_at=at)
    return row


@pytest.mark.parametrize(
    ("now", "zone", "day", "moment"),
    [
        ("2026-03-10T07:59:59", "", "2026-03-09", "2026-03-09T08:00"),
        ("2026-03-10T08:00:00", "", "2026-03-10", "2026-03-10T08:00"),
        # Berlin puts its clocks forward on 29 March and back on 25 October.
        ("2026-03-28T07:00:00", "Europe/Berlin", "2026-03-28", "2026-03-28T07:00"),
        ("2026-03-29T05:59:59", "Europe/Berlin", "2026-03-28", "2026-03-28T07:00"),
        ("2026-03-29T06:00:00", "Europe/Berlin", "2026-03-29", "2026-03-29T06:00"),
        ("2026-10-24T06:00:00", "Europe/Berlin", "2026-10-24", "2026-10-24T06:00"),
        ("2026-10-25T06:59:59", "Europe/Berlin", "2026-10-24", "2026-10-24T06:00"),
        ("2026-10-25T07:00:00", "Europe/Berlin", "2026-10-25", "2026-10-25T07:00"),
        # Ahead of UTC it is due the day before, as UTC counts; far behind, the day after.
        ("2026-03-09T18:00:00", "Pacific/Kiritimati", "2026-03-10", "2026-03-09T18:00"),
        ("2026-03-10T19:00:00", "Pacific/Pago_Pago", "2026-03-10", "2026-03-10T19:00"),
        # Samoa left out 30 December 2011.
        ("2011-12-30T10:00:00", "Pacific/Apia", "2011-12-29", "2011-12-29T18:00"),
        ("2011-12-30T18:00:00", "Pacific/Apia", "2011-12-31", "2011-12-30T18:00"),
        ("2026-03-10T08:00:00", "Mars/North", "2026-03-10", "2026-03-10T08:00"),
    ],
)
def test_is_due_at_eight_in_the_morning(now, zone, day, moment) -> None:
    found = due_on(datetime.fromisoformat(now).replace(tzinfo=UTC), zone)
    assert found == (date.fromisoformat(day), datetime.fromisoformat(moment).replace(tzinfo=UTC))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.datetimes(datetime(1990, 1, 2), datetime(2080, 1, 1)),
    st.sampled_from(sorted(names())),
    st.integers(0, 100_000),
)
def test_never_goes_back_and_lies_behind_now(moment, zone, seconds) -> None:
    now = moment.replace(tzinfo=UTC)
    (first, at), (later, _) = due_on(now, zone), due_on(now + timedelta(seconds=seconds), zone)
    assert at <= now < at + timedelta(hours=49)
    assert first <= later


@pytest.mark.django_db
def test_sends_one_mail_of_what_is_unread(owner, sink) -> None:
    tell(owner, "a", NOON - timedelta(hours=9))
    tell(owner, "b", NOON - timedelta(hours=8))
    seen = tell(owner, "seen", NOON - timedelta(hours=8))
    inbox.mark_read(actor=actor_of_user(owner), notification=seen, now=NOON)
    assert digests.make_due(now=NOON) == 1
    assert digests.make_due(now=NOON) == 0
    jobs.drain(NOON + timedelta(days=365))
    (sent,) = sink.mails
    assert sent["Subject"] == "2 things you have not read"
    text = sent.get_body(("plain",)).get_content()
    assert "News a" in text
    assert "News b" in text
    assert "News seen" not in text
    assert "News b" in sent.get_body(("html",)).get_content()
    assert sent["List-Unsubscribe"]


@pytest.mark.django_db
def test_sends_nothing_when_nothing_is_unread(owner) -> None:
    row = tell(owner, "a", NOON - timedelta(hours=9))
    inbox.mark_all_read(actor=actor_of_user(owner), now=NOON + timedelta(days=365 * 10))
    assert row.email == "digest"
    assert digests.make_due(now=NOON) == 0
    assert not Mail.objects.exists()


@pytest.mark.django_db
def test_leaves_what_came_after_eight_to_the_next_day(owner) -> None:
    tell(owner, "a", NOON - timedelta(hours=3))
    assert digests.make_due(now=NOON) == 0
    assert digests.make_due(now=NOON + timedelta(hours=19)) == 0
    assert digests.make_due(now=NOON + timedelta(hours=20)) == 1
    assert Mail.objects.get().digest_on == date(2026, 3, 11)


@pytest.mark.django_db
def test_names_each_thing_in_one_digest_only(owner) -> None:
    tell(owner, "a", NOON - timedelta(hours=9))
    assert digests.make_due(now=NOON) == 1
    assert digests.make_due(now=NOON + timedelta(days=1)) == 0
    tell(owner, "b", NOON)
    assert digests.make_due(now=NOON + timedelta(days=1)) == 1
    assert Mail.objects.count() == 2


@pytest.mark.django_db
def test_knows_the_zone_and_what_was_switched_off_meanwhile(owner, team_mate, wants) -> None:
    wants(owner, "Pacific/Auckland")
    tell(owner, "a", NOON - timedelta(hours=30))
    tell(team_mate, "b", NOON - timedelta(hours=30))
    wants(team_mate, receipts="off")
    assert digests.make_due(now=datetime(2026, 3, 9, 19, tzinfo=UTC)) == 1
    mail = Mail.objects.get()
    assert (mail.person, mail.digest_on) == (owner, date(2026, 3, 10))


@pytest.mark.django_db
def test_is_skipped_when_all_was_read_before_it_left(owner, sink) -> None:
    tell(owner, "a", NOON - timedelta(hours=9))
    digests.make_due(now=NOON)
    inbox.mark_all_read(actor=actor_of_user(owner), now=NOON + timedelta(days=365 * 10))
    jobs.drain(NOON + timedelta(days=365))
    assert (Mail.objects.get().reason, sink.mails) == ("everything was read meanwhile", [])
    assert set(Job.objects.values_list("state", flat=True)) == {"succeeded"}
