"""What people were told, and what became of the mails: seen as it is, a mail sent again by a command."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, linebreaks
from unfold.decorators import display

from core.admin import Call, CommandAction, Effect, Empty, EntityAdmin, Figure
from core.admin.html import NOTHING, link, moment, state
from core.exports.columns import Kind, exports_as
from notifications.models import Mail, Notification
from notifications.selectors import inbox
from notifications.services import mails
from notifications.states import RESENDABLE

_MARK: Final = re.compile("⟦[a-z_]+⟧")

RESEND: CommandAction[Mail] = CommandAction(
    "resend",
    "Send again",
    "notifications.mail.resend",
    lambda call: mails.resend(actor=call.actor, mail=call.obj, now=call.now),
    is_offered=lambda mail: mail.state in RESENDABLE,
    preview=lambda call: _resend_effects(call),
    text="Sends the mail once more to the address that the person has proven by now.",
    done="The mail is on its way.",
    icon="forward_to_inbox",
)


def _resend_effects(call: Call[Mail]) -> Iterable[Effect]:
    yield Effect("State", call.obj.state, "queued")
    yield Effect("Message-ID", call.obj.message_id, f"…{call.obj.edition + 1}@…")


def _standing(row: Notification) -> object:
    if row.archived_at is not None:
        return state("archived", "neutral")
    return state("read", "neutral") if row.is_read else state("unread", "info")


@admin.register(Notification)
class NotificationAdmin(EntityAdmin):
    view_permission = "accounts.user.view"
    list_display = ("headline", "kind", "to", "standing", "by_mail", "created", "identifier")
    list_filter = ("kind", "email")
    search_by = ("person__email", "event_id")
    search_help_text = "Whole e-mail address of the person, key of the event, or id"
    related = ("person", "mail")
    facts = (
        "person", "organization", "kind", "words", "url", "event", "is_in_inbox", "email", "by_mail", "digest",
        "read_at", "archived_at", "created_at",
    )  # fmt: skip
    empty = Empty("Nobody was told anything yet", "What happens is told by the relay.", icon="notifications")

    @display(description="Subject")
    def headline(self, obj: Notification) -> str:
        """What is personal in it stands on the row's own page alone."""
        return _MARK.sub("…", obj.subject)

    @display(description="Person")
    @exports_as(Kind.LINK)
    def to(self, obj: Notification) -> object:
        return link(obj.person)

    @display(description="State")
    def standing(self, obj: Notification) -> object:
        return _standing(obj)

    @display(description="Mail")
    @exports_as(Kind.LINK)
    def by_mail(self, obj: Notification) -> object:
        mail = getattr(obj, "mail", None)
        return link(mail, mail.state) if mail is not None else NOTHING

    @display(description="Words")
    def words(self, obj: Notification) -> object:
        return format_html("{}", linebreaks(inbox.readable([obj])[0].text, autoescape=True))

    @display(description="Event")
    def event(self, obj: Notification) -> object:
        if obj.event_id is None:
            return NOTHING
        try:
            address = reverse("admin:audit_event_change", args=[obj.event_id])
        except NoReverseMatch:
            return obj.template
        return format_html('<a class="ch-link" href="{}">{}</a>', address, obj.template)

    def get_title(self, obj: Notification) -> object:
        return inbox.readable([obj])[0].subject

    def get_states(self, obj: Notification) -> Iterable[object]:
        return [_standing(obj)]

    def get_subjects(self, obj: Notification) -> Sequence[Model]:
        mail = getattr(obj, "mail", None)
        return [obj, mail] if mail is not None else [obj]


@admin.register(Mail)
class MailAdmin(EntityAdmin):
    list_display = ("about", "to", "standing", "reason", "attempts", "sent", "created", "identifier")
    list_filter = ("state",)
    search_by = ("person__email",)
    search_help_text = "Whole e-mail address of the person, or id"
    related = ("person", "notification")
    commands = (RESEND,)
    facts = (
        "person", "notification", "digest_on", "reason", "attempts", "edition", "message_id", "sent_at", "created_at",
    )  # fmt: skip
    empty = Empty("No e-mails yet", "Notifications that people want by e-mail appear here.", icon="mail")

    @display(description="About")
    def about(self, obj: Mail) -> str:
        return _MARK.sub("…", obj.notification.subject) if obj.notification else f"Digest of {obj.digest_on}"

    @display(description="Person")
    @exports_as(Kind.LINK)
    def to(self, obj: Mail) -> object:
        return link(obj.person)

    @display(description="State")
    def standing(self, obj: Mail) -> object:
        return state(obj.state, "success" if obj.state == "sent" else None)

    @display(description="Sent")
    def sent(self, obj: Mail) -> object:
        return moment(obj.sent_at)

    @display(description="Message-ID")
    def message_id(self, obj: Mail) -> str:
        return obj.message_id

    def get_title(self, obj: Mail) -> object:
        return self.about(obj)

    def get_states(self, obj: Mail) -> Iterable[object]:
        return [self.standing(obj)]

    def get_figures(self, request: HttpRequest, obj: Mail) -> Sequence[Figure]:
        return [Figure("Attempts", obj.attempts, f"of {mails.ATTEMPTS}"), Figure("Edition", obj.edition)]
