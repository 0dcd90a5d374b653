"""Telling people, and what they do with what they were told.

Telling follows from events and is none itself: it is idempotent (one row for each person and `unique`), so that a
follower may hand over the same event again. What a person does with their inbox is a command with one event, however
many rows it marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F

from accounts.models import User
from audit.models import Event
from core import context
from core.actor import Actor
from core.commands import command
from core.errors import Forbidden, NotFound
from core.events import EventType, record
from core.ids import moment_of
from core.models import Entity
from core.streams import wake
from notifications import events
from notifications.audiences import asker
from notifications.models import Notification
from notifications.news import News, read
from notifications.preferences import Choices
from notifications.selectors import inbox
from notifications.selectors.changes import channel_of
from notifications.selectors.preferences import choices_of
from notifications.services import mails
from notifications.states import MailChoice
from notifications.templates import Template, Written, safe_url, templates, write

# An event that was recorded longer ago is no news any more: a follower that is set back must not mail the past.
NEWS_FOR: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Draft:
    """What one person is to be told, before their choices are asked."""

    person_id: UUID
    kind: str
    unique: str
    written: Written
    template: str = ""
    event_id: UUID | None = None
    organization_id: UUID | None = None
    has_mail: bool = True


def tell_of(found: Sequence[Event], *, now: datetime) -> int:
    """Tell everybody whom these events concern; return how many rows are new. Told before is not told again."""
    recent = [event for event in found if event.type in templates and moment_of(event.pk) > now - NEWS_FOR]
    drafts = [draft for news in read(recent) for draft in _drafts(templates[news.event.type], news)]
    return store(drafts)


def tell(
    *,
    actor: Actor,
    person: User,
    kind: str,
    subject: str,
    text: str,
    unique: str,
    url: str = "",
    event_id: UUID | None = None,
) -> Notification | None:
    """Tell one person something that no template stands for; None when they switched the kind off altogether. The words
    must hold nothing personal. For the system and for staff; raises Forbidden, and LookupError on an unknown kind."""
    if not (actor.is_system or actor.is_staff):
        raise Forbidden("Only staff tell others something.")
    written = Written(subject[:300], text, safe_url(url), {}, {})
    store([Draft(person.pk, kind, unique, written, event_id=event_id)])
    return Notification.objects.filter(person=person, unique=unique).first()


def store(drafts: Sequence[Draft]) -> int:
    """Write what is new of `drafts`, each with its mail and the mail's job, in one transaction; return how many rows
    are new. Safe to repeat: what a killed process left out is added."""
    known = set(
        User.objects.filter(pk__in={one.person_id for one in drafts}, is_active=True).values_list("pk", flat=True)
    )
    chosen = choices_of(known)
    rows = [row for one in drafts if one.person_id in known and (row := _row(one, chosen[one.person_id])) is not None]
    if not rows:
        return 0
    rows.sort(key=lambda row: row.person_id)  # one order for all who take several people's counters
    with transaction.atomic():
        Notification.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
        made = {row.pk for row in rows}
        uniques = {row.unique for row in rows}
        there = Notification.objects.filter(person_id__in=known, unique__in=uniques)
        stored = list(there.only("pk", "person_id", "email"))
        mails.queue([row for row in stored if row.email == MailChoice.IMMEDIATELY])
        wake(*{channel_of(row.person_id) for row in stored if row.pk in made})
    return sum(row.pk in made for row in stored)


def _drafts(declared: Template, news: News) -> list[Draft]:
    if not declared.when(news):
        return []
    people = set(declared.audience(news))
    if not declared.tells_actor:
        people -= asker(news)
    if not people:
        return []
    event = news.event
    # An organisation that is gone has no name and is not pointed at.
    organization_id = event.organization_id if news.organization else None
    written, unique, has_mail = write(declared, news), declared.unique(news)[:200], declared.has_mail(news)
    for_staff = written if declared.staff_url is None else replace(written, url=safe_url(declared.staff_url(news)))
    staff = news.people.staff if declared.staff_url is not None else frozenset()
    return [
        Draft(
            person_id,
            declared.kind,
            unique,
            for_staff if person_id in staff else written,
            event.type,
            event.pk,
            organization_id,
            has_mail,
        )
        for person_id in sorted(people)
    ]


def _row(draft: Draft, choices: Choices) -> Notification | None:
    choice = choices.of(draft.kind)
    email = choice.email if draft.has_mail else MailChoice.OFF
    if not choice.inbox and email == MailChoice.OFF:
        return None
    written = draft.written
    return Notification(
        person_id=draft.person_id,
        organization_id=draft.organization_id,
        kind=draft.kind,
        template=draft.template,
        event_id=draft.event_id,
        unique=draft.unique,
        subject=written.subject,
        text=written.text,
        url=written.url,
        values=written.values,
        personal=written.personal,
        is_in_inbox=choice.inbox,
        email=email,
    )


@command("notifications.notification.mark_read")
def mark_read(*, actor: Actor, notification: Notification, now: datetime) -> Notification:
    """Mark one's own notification as read; one that is stays so. Writes `notifications.notification.read`."""
    row = _own(actor, notification)
    if row.read_at is not None:
        return row
    row.read_at = now
    return _saved(events.NOTIFICATION_READ, actor, row, now)


@command("notifications.notification.mark_unread")
def mark_unread(*, actor: Actor, notification: Notification, now: datetime) -> Notification:
    """Mark one's own notification as not read. Writes `notifications.notification.marked_unread`."""
    row = _own(actor, notification)
    if row.read_at is None:
        return row
    row.read_at = None
    return _saved(events.NOTIFICATION_UNREAD, actor, row, now)


@command("notifications.notification.archive")
def archive(*, actor: Actor, notification: Notification, now: datetime) -> Notification:
    """Put one's own notification away, as read. Writes `notifications.notification.archived`."""
    row = _own(actor, notification)
    if row.archived_at is not None:
        return row
    row.archived_at, row.read_at = now, row.read_at or now
    return _saved(events.NOTIFICATION_ARCHIVED, actor, row, now)


@command("notifications.inbox.mark_all_read")
def mark_all_read(*, actor: Actor, now: datetime, until: datetime | None = None) -> int:
    """Mark one's whole inbox as read, up to `until`; return how many were not. Writes one `notifications.inbox.read`,
    and none when everything was read. Raises Forbidden for who is no person."""
    person = User.objects.select_for_update(of=("self",), no_key=True).get(pk=require_person(actor))
    rows = inbox.unread(actor).filter(created_at__lte=min(until or now, now))
    # The rows are locked before the counter of their positions is, as by who marks a single one.
    locked = list(rows.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
    marked = Notification.objects.filter(pk__in=locked).update(read_at=now, updated_at=now, version=F("version") + 1)
    wake(channel_of(person.pk))
    if marked:
        _record(events.INBOX_READ, actor, person, now, {"marked": marked})
    return marked


def require_person(actor: Actor) -> UUID:
    """Return the key of the person who acts. Raises Forbidden for keys, service accounts and nobody: only people have
    an inbox."""
    if not inbox.is_person(actor) or actor.id is None:
        raise Forbidden("Only people have notifications.")
    return actor.id


def _own(actor: Actor, notification: Notification) -> Notification:
    """Return the actor's own row, locked. Raises Forbidden and NotFound."""
    require_person(actor)
    row = notification.refreshed_for_update()
    if row.person_id != actor.id:
        raise NotFound("There is no such notification, or you may not see it.")
    return row


def _saved(event: EventType, actor: Actor, row: Notification, now: datetime) -> Notification:
    row.save(update_fields=["read_at", "archived_at"])
    wake(channel_of(row.person_id))
    _record(event, actor, row, now, {"kind": row.kind})
    return row


def _record(event: EventType, actor: Actor, subject: Entity, now: datetime, data: dict[str, Any]) -> None:
    # What somebody reads is theirs: it stands in no organisation's log, whichever they act in.
    with context.changed(organization_id=None):
        record(event, actor=actor, subject=subject, data=data, occurred_at=now)
