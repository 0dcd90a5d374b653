"""The digest: what a person has not read, in one mail a day, at eight in the morning where they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import QuerySet

from core.time_zones import is_time_zone
from notifications.models import Mail, Notification
from notifications.preferences import Choices
from notifications.selectors import inbox
from notifications.selectors.preferences import choices_of
from notifications.services import mails
from notifications.states import MailChoice

JOB: Final = "notifications.make_digests"
AT: Final = time(8)
_CHUNK: Final = 500


def due_on(now: datetime, time_zone: str) -> tuple[date, datetime]:
    """Return the day whose digest came last due before `now` in that zone (UTC when it is empty or unknown), and the
    moment at which it did. A clock that jumps over eight o'clock makes it due as much later as it jumps; of an hour
    that comes twice the first counts."""
    zone = ZoneInfo(time_zone) if is_time_zone(time_zone) else ZoneInfo("UTC")
    today = now.astimezone(zone).date()
    # Two days back: Samoa once left a whole day out.
    for day in (today, today - timedelta(days=1), today - timedelta(days=2)):
        moment = datetime.combine(day, AT, tzinfo=zone).astimezone(UTC)
        if moment <= now:
            return day, moment
    raise AssertionError("eight o'clock two days ago lies before now")


def make_due(*, now: datetime) -> int:
    """Make the digests that are due at `now`, each with the job that sends it; return how many. A person gets one a day
    at most, and none when nothing is unread. Commits for each 500 people."""
    people = list(_pending().order_by("person_id").values_list("person_id", flat=True).distinct())
    made = 0
    for start in range(0, len(people), _CHUNK):
        chunk = people[start : start + _CHUNK]
        for person_id, choices in choices_of(chunk).items():
            made += _make(person_id, choices, now)
    return made


def _pending() -> QuerySet[Notification]:
    return Notification.objects.filter(email=MailChoice.DIGEST, digest=None, read_at=None, archived_at=None)


def _make(person_id: UUID, choices: Choices, now: datetime) -> int:
    """Make one person's digest of the day and enqueue it, in one transaction; 0 when there is nothing to send."""
    day, moment = due_on(now, choices.time_zone)
    with transaction.atomic():
        rows = _pending().filter(inbox.still_theirs(), person_id=person_id, created_at__lt=moment)
        wanted = [
            row.pk for row in rows.select_for_update(of=("self",)) if choices.of(row.kind).email != MailChoice.OFF
        ]
        if not wanted:
            return 0
        mail = Mail(person_id=person_id, digest_on=day)
        Mail.objects.bulk_create([mail], ignore_conflicts=True)
        if not Mail.objects.filter(pk=mail.pk).exists():
            return 0  # that day's digest is made: these wait for the next one
        Notification.objects.filter(pk__in=wanted).update(digest=mail)
        mails.enqueue([(mail.pk, mail.edition)])
    return 1
