"""What people are told: in their inbox, and by e-mail."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import Organization, User
from core.models import Entity
from notifications.states import KIND_CHOICES, MailChoice, MailState


class Notification(Entity):
    """One thing that one person is told once: `unique` names it for that person.

    `subject` and `text` hold marks in place of personal values (`⟦member⟧`); the values stand in `personal`, encrypted
    under the key of whom they speak of, so that erasing a person takes them out of everybody's inbox. Read both
    through `selectors.inbox`. HTML is not kept: it is rendered from `template` and `values` when it is sent.
    """

    id_prefix: ClassVar[str] = "ntf"
    organization_path: ClassVar[str | None] = None  # a person's own, whatever organisation it speaks of

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    kind = models.CharField(max_length=30, choices=KIND_CHOICES)
    template = models.CharField(max_length=100, blank=True, help_text="The type of event that it tells of.")
    event_id = models.UUIDField(null=True, blank=True)
    unique = models.CharField(max_length=200)
    subject = models.CharField(max_length=300)
    text = models.TextField(blank=True)
    url = models.CharField(max_length=500, blank=True, help_text="Where to go on: a path or an address.")
    values = models.JSONField(default=dict, blank=True)
    personal = models.JSONField(default=dict, blank=True)
    is_in_inbox = models.BooleanField("in the inbox", default=True)
    email = models.CharField("by e-mail", max_length=12, choices=MailChoice.choices, default=MailChoice.OFF)
    digest = models.ForeignKey("Mail", on_delete=models.SET_NULL, null=True, blank=True, related_name="told")
    read_at = models.DateTimeField("read", null=True, blank=True)
    archived_at = models.DateTimeField("archived", null=True, blank=True)
    position = models.BigIntegerField(
        default=0,
        editable=False,
        help_text="Rises with each change; a trigger sets it (notifications.models.positions).",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "unique"], name="notifications_told_once")]
        indexes = [
            models.Index(fields=["person", "-id"], name="notifications_of_person", condition=Q(is_in_inbox=True)),
            models.Index(
                fields=["person", "kind"],
                name="notifications_unread",
                condition=Q(is_in_inbox=True, read_at=None, archived_at=None),
            ),
            models.Index(
                fields=["person", "id"],
                name="notifications_for_digest",
                condition=Q(email="digest", digest=None, read_at=None, archived_at=None),
            ),
            models.Index(fields=["person", "position"], name="notifications_position"),
            models.Index(fields=["read_at"], name="notifications_read_at", condition=Q(read_at__isnull=False)),
        ]

    @property
    def is_read(self) -> bool:
        return self.read_at is not None


class Mail(Entity):
    """One e-mail to one person: of one notification, or of one day's digest. The address is looked up when it is sent;
    what is sent twice (a worker died between sending and noting it) carries one Message-ID."""

    id_prefix: ClassVar[str] = "eml"
    organization_path: ClassVar[str | None] = None

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    notification = models.OneToOneField(
        Notification, on_delete=models.CASCADE, null=True, blank=True, related_name="mail"
    )
    digest_on = models.DateField("digest of", null=True, blank=True)
    state = models.CharField(max_length=10, choices=MailState.choices, default=MailState.QUEUED)
    reason = models.CharField(max_length=200, blank=True, help_text="Why it was not sent, or not yet.")
    attempts = models.PositiveIntegerField(default=0)
    edition = models.PositiveSmallIntegerField(default=1, help_text="Rises when staff send it again.")
    sent_at = models.DateTimeField("sent", null=True, blank=True)

    class Meta:
        verbose_name = "e-mail"
        verbose_name_plural = "e-mails"
        constraints = [
            models.UniqueConstraint(fields=["person", "digest_on"], name="notifications_one_digest_a_day"),
            models.CheckConstraint(
                condition=Q(notification__isnull=True) ^ Q(digest_on__isnull=True),
                name="notifications_mail_of_one_thing",
            ),
        ]
        indexes = [
            models.Index(fields=["person", "-id"], name="notifications_mail_person"),
            models.Index(fields=["state", "-id"], name="notifications_mail_state"),
        ]

    @property
    def message_id(self) -> str:
        """The Message-ID (RFC 5322), the same for each attempt."""
        host = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
        return f"<{self.public_id}.{self.edition}@{host}>"


class NotificationPreferences(Entity):
    """What one person chose. Kinds that are not named keep their defaults (`notifications.states.KINDS`)."""

    id_prefix: ClassVar[str] = "npr"
    organization_path: ClassVar[str | None] = None

    person = models.OneToOneField(User, on_delete=models.CASCADE, related_name="+")
    time_zone = models.CharField(max_length=50, blank=True, help_text="IANA name; the digest comes at 8:00 there.")
    choices: Any = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = "notification preferences"
        verbose_name_plural = "notification preferences"
