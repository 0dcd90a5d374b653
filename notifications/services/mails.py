"""E-mails: one row for each, sent by a job, at least once and marked by one Message-ID."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import F, QuerySet

from core import jobs
from core.access import require
from core.actor import SYSTEM, Actor
from core.commands import command
from core.errors import AppError, ProviderRejected
from core.events import record
from notifications import events
from notifications.errors import MailNotResendable
from notifications.models import Mail, Notification
from notifications.providers import mail as provider
from notifications.selectors import inbox
from notifications.selectors.addresses import proven_address
from notifications.selectors.preferences import choices_of
from notifications.states import KINDS, RESENDABLE, MailChoice, MailState
from notifications.templates import templates

JOB: Final = "notifications.send_mail"
ATTEMPTS: Final = 12  # with 5 s doubled each time: a mail server may be away for an hour or two


def queue(rows: Sequence[Notification]) -> None:
    """Write the mail of each notification, and its job, in the present transaction. Safe to repeat."""
    if not rows:
        return
    Mail.objects.bulk_create(
        [Mail(person_id=row.person_id, notification=row) for row in rows], ignore_conflicts=True, batch_size=500
    )
    waiting = Mail.objects.filter(notification__in=[row.pk for row in rows], state=MailState.QUEUED)
    enqueue(waiting.values_list("pk", "edition"))


def enqueue(mails: Any) -> None:
    """Enqueue the job of each mail, given by key and edition; there is one for each edition."""
    items = [({"mail_id": str(pk)}, f"{JOB}:{pk}:{edition}") for pk, edition in mails]
    jobs.enqueue_many(JOB, items, actor=SYSTEM)


def send(*, mail_id: UUID, now: datetime, attempt: int) -> MailState:
    """Send one mail now, outside of any transaction, and note what became of it. A mail that was sent, skipped or given
    up stays so; the replay of a dead job begins anew. Raises ProviderUnavailable, to be tried again; what the server
    refuses for good fails at once."""
    mail = Mail.objects.select_related("person", "notification").filter(pk=mail_id).first()
    if mail is None:
        return MailState.SKIPPED  # purged with its notification
    if mail.state == MailState.FAILED and attempt == 1:
        # Its job died and staff replay it.
        Mail.objects.filter(pk=mail.pk, state=MailState.FAILED).update(state=MailState.QUEUED)
    elif mail.state != MailState.QUEUED:
        return MailState(mail.state)
    to, reason = _destination(mail)
    if reason:
        return _note(mail, MailState.SKIPPED, now, reason)
    try:
        _deliver(mail, to)
    except ProviderRejected as error:
        return _note(mail, MailState.FAILED, now, error.detail)
    except AppError as error:
        _note(mail, MailState.FAILED if attempt >= ATTEMPTS else MailState.QUEUED, now, error.detail)
        raise
    return _note(mail, MailState.SENT, now, "")


@command("notifications.mail.resend")
def resend(*, actor: Actor, mail: Mail, now: datetime) -> Mail:
    """Send a mail again, as another edition with a Message-ID of its own. Staff only. Raises `MailNotResendable` while
    it waits for its delivery. Writes `notifications.mail.resent`."""
    require(actor, "notifications.mail.resend", mail)
    mail = mail.refreshed_for_update()
    if mail.state not in RESENDABLE:
        raise MailNotResendable
    before = {"state": mail.state, "edition": mail.edition}
    mail.state, mail.edition, mail.attempts, mail.reason = MailState.QUEUED, mail.edition + 1, 0, ""
    mail.save(update_fields=["state", "edition", "attempts", "reason"])
    after = {"state": mail.state, "edition": mail.edition}
    record(events.MAIL_RESENT, actor=actor, subject=mail, before=before, after=after, occurred_at=now)
    enqueue([(mail.pk, mail.edition)])
    return mail


def _destination(mail: Mail) -> tuple[str, str]:
    """Return where the mail goes, or why it does not go: the choice may have changed since it was written."""
    address = proven_address(mail.person)
    if not address:
        return "", "no proven address" if mail.person.is_active else "the person may not sign in"
    row = mail.notification
    if row is None:
        return (address, "") if _entries_of(mail).exists() else ("", "everything was read meanwhile")
    if not inbox.concerned([row]):
        return "", "not theirs to read any more"
    if mail.edition == 1:  # later ones staff mean
        chosen = choices_of([mail.person_id])[mail.person_id].of(row.kind)
        if chosen.email == MailChoice.OFF:
            return "", "switched off meanwhile"
    return address, ""


def _entries_of(mail: Mail) -> QuerySet[Notification]:
    """Return what a digest names: what is unread, and again all of it when staff send it again."""
    rows = mail.told.filter(inbox.still_theirs()).order_by("id")
    return rows if mail.edition > 1 else rows.filter(read_at=None)


def _deliver(mail: Mail, to: str) -> None:
    if mail.notification is None:
        _deliver_digest(mail, to)
        return
    row = mail.notification
    clear = inbox.readable([row])[0]
    link = provider.address_of(row.url)
    has_template = row.template in templates
    provider.send(
        to=to,
        message_id=mail.message_id,
        mail_id=mail.public_id,
        subject=clear.subject,
        text=clear.text,
        page=f"notifications/{row.template}/body.html" if has_template else "notifications/plain.html",
        values={**row.values, **clear.names, "link": link},
        unsubscribe="" if KINDS[row.kind].is_mandatory else provider.unsubscribe_address(mail.person_id, row.kind),
    )


def _deliver_digest(mail: Mail, to: str) -> None:
    entries = [
        {
            "subject": one.subject,
            "text": one.text,
            "link": provider.address_of(one.row.url),
            "kind": KINDS[one.row.kind].label,
        }
        for one in inbox.readable(_entries_of(mail))
    ]
    count = len(entries)
    subject = entries[0]["subject"] if count == 1 else f"{count} things you have not read"
    provider.send(
        to=to,
        message_id=mail.message_id,
        mail_id=mail.public_id,
        subject=subject,
        text="\n\n".join("\n".join(filter(None, (one["subject"], one["text"], one["link"]))) for one in entries),
        page="notifications/digest.html",
        values={"entries": entries, "count": count},
        unsubscribe=provider.unsubscribe_address(mail.person_id, provider.DIGEST),
    )


def _note(mail: Mail, state: MailState, now: datetime, reason: str) -> MailState:
    """Write what became of an attempt; a mail that staff sent anew meanwhile is not touched."""
    Mail.objects.filter(pk=mail.pk, edition=mail.edition, state=MailState.QUEUED).update(
        state=state,
        reason=reason[:200],
        attempts=F("attempts") + 1,
        sent_at=now if state == MailState.SENT else mail.sent_at,
        updated_at=now,
        version=F("version") + 1,
    )
    return state
