"""Notifications and preferences as the API shows and takes them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import Organization
from audit.models import Event
from core.api.fields import PublicIdField, TimeZoneField
from core.api.serializers import InputSerializer
from notifications.models import Notification
from notifications.states import KIND_CHOICES, MailChoice


class NotificationSerializer(serializers.Serializer):  # type: ignore[type-arg]  # not subscriptable at run time
    """Made by `document`, since its words are read in clear."""

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
