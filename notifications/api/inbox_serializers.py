"""Notifications and preferences as the API shows and takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from accounts.models import Organization
from audit.models import Event
from core import ids
from core.api.fields import PublicIdField, TimeZoneField
from core.api.replies import moment
from core.api.serializers import InputSerializer
from notifications.models import Notification
from notifications.selectors.inbox import Readable, readable
from notifications.states import KIND_CHOICES, MailChoice


class NotificationSerializer(serializers.Serializer):  # type: ignore[type-arg]  # not subscriptable at run time
    """A notification with its words in clear."""

    id = PublicIdField(Notification)
    kind = serializers.ChoiceField(choices=KIND_CHOICES)
    event_type = serializers.CharField(help_text="The type of event that it tells of; empty for other news.")
    event_id = PublicIdField(Event.id_prefix, allow_null=True)
    organization_id = PublicIdField(Organization, allow_null=True)
    subject = serializers.CharField()
    text = serializers.CharField()
    url = serializers.CharField(help_text="Where to go on: a path of the client program, or an address; may be empty.")
    is_read = serializers.BooleanField()
    read_at = serializers.DateTimeField(allow_null=True)
    archived_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()

    @classmethod
    def represent(cls, row: Notification) -> dict[str, Any]:
        """Return the JSON-ready form of one row."""
        return cls.represent_all([row])[0]

    @classmethod
    def represent_all(cls, rows: Iterable[Notification]) -> list[dict[str, Any]]:
        """Return the JSON-ready form of each row, with one query for all keys (none when nothing is personal)."""
        return [document(one) for one in readable(rows)]


def document(one: Readable) -> dict[str, Any]:
    """Return a notification as the API and its live stream show it."""
    row = one.row
    return {
        "id": row.public_id,
        "kind": row.kind,
        "event_type": row.template,
        "event_id": ids.encode(Event.id_prefix, row.event_id) if row.event_id else None,
        "organization_id": ids.encode(Organization.id_prefix, row.organization_id) if row.organization_id else None,
        "subject": one.subject,
        "text": one.text,
        "url": row.url,
        "is_read": row.is_read,
        "read_at": moment(row.read_at) if row.read_at else None,
        "archived_at": moment(row.archived_at) if row.archived_at else None,
        "created_at": moment(row.created_at),
    }


class UnreadSerializer(serializers.Serializer):  # type: ignore[type-arg]
    kind = serializers.ChoiceField(choices=KIND_CHOICES)
    unread = serializers.IntegerField()


class SummarySerializer(serializers.Serializer):  # type: ignore[type-arg]
    unread = serializers.IntegerField(help_text="How much of the inbox is not read.")
    by_kind = UnreadSerializer(many=True)


class MarkAllInput(InputSerializer):
    until = serializers.DateTimeField(
        required=False, help_text="Only what was there at this moment; default: everything."
    )


class MarkedReply(serializers.Serializer):  # type: ignore[type-arg]
    marked = serializers.IntegerField(help_text="How many were not read before.")


class ChoiceSerializer(serializers.Serializer):  # type: ignore[type-arg]
    kind = serializers.ChoiceField(choices=KIND_CHOICES)
    label = serializers.CharField()  # type: ignore[assignment]  # a member of the reply
    is_mandatory = serializers.BooleanField(help_text="Always told, in the inbox and at once by e-mail.")
    inbox = serializers.BooleanField()
    email = serializers.ChoiceField(choices=MailChoice.choices)


class PreferencesSerializer(serializers.Serializer):  # type: ignore[type-arg]
    time_zone = serializers.CharField(help_text="The digest comes at 8:00 there; empty: UTC.")
    choices = ChoiceSerializer(many=True)


class ChoiceInput(InputSerializer):
    kind = serializers.ChoiceField(choices=KIND_CHOICES)
    inbox = serializers.BooleanField()
    email = serializers.ChoiceField(choices=MailChoice.choices)


class PreferencesInput(InputSerializer):
    time_zone = TimeZoneField(required=False, default="", allow_blank=True)
    choices = serializers.ListField(child=ChoiceInput(), max_length=len(KIND_CHOICES))

    def validate_choices(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({one["kind"] for one in value}) < len(value):
            raise serializers.ValidationError("A kind stands there twice.", code="duplicate")
        return value
