"""Webhook endpoints and deliveries as the API shows and takes them."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Organization
from audit.api.views import NamedSerializer
from core.api.fields import PublicIdField, PublicIdRelatedField
from core.api.serializers import EntitySerializer, InputSerializer
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.models.webhooks import LONGEST_URL
from notifications.selectors import webhooks
from notifications.services.webhook_deliveries import readable_payload
from notifications.services.webhook_endpoints import LONGEST_OVERLAP, OVERLAP
from notifications.states import AttemptOutcome, DeliveryStatus, DisabledReason


class EventTypeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    subject = serializers.CharField(help_text="What it speaks of: `subscription`, `invoice`, …")
    text = serializers.CharField(help_text="What happened, in a sentence.")
    schema_version = serializers.IntegerField()


class EventTypesSerializer(serializers.Serializer[Any]):
    data = EventTypeSerializer(many=True)  # type: ignore[assignment]  # a member of the reply, not the serializer's own


class EndpointSerializer(EntitySerializer):
    id = PublicIdField(WebhookEndpoint, read_only=True)
    organization_id = PublicIdField(Organization, read_only=True)
    disabled_reason = serializers.ChoiceField(["", *DisabledReason.values], read_only=True)

    class Meta:
        model = WebhookEndpoint
        fields: ClassVar = [
            "id",
            "organization_id",
            "url",
            "description",
            "event_types",
            "is_enabled",
            "disabled_at",
            "disabled_reason",
            "failing_since",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class EndpointSecretSerializer(EndpointSerializer):
    """An endpoint with its secret, which is shown this once."""

    secret = serializers.CharField(read_only=True, help_text="`whsec_…`: verifies what is sent from now on.")
    previous_secret_expires_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="Until then the secret before signs too."
    )

    class Meta(EndpointSerializer.Meta):
        fields: ClassVar = [*EndpointSerializer.Meta.fields, "secret", "previous_secret_expires_at"]
        read_only_fields = fields


class PatternsField(serializers.ListField):
    """Names of event types, or patterns of them."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", 'Names, or patterns: "billing.invoice.*", "*".')
        child = serializers.ChoiceField(webhooks.patterns())
        super().__init__(child=child, min_length=1, max_length=100, **kwargs)


@extend_schema_field({"type": "string", "format": "uri", "pattern": "^https?://", "maxLength": LONGEST_URL})
class AddressField(serializers.CharField):
    """Where webhooks go. What else an address must be, the service says."""


class EndpointInput(InputSerializer):
    url = AddressField(max_length=LONGEST_URL)
    event_types = PatternsField()
    description = serializers.CharField(max_length=200, allow_blank=True, default="")
    organization_id = PublicIdRelatedField(
        Organization.objects.all(),
        source="organization",
        required=False,
        help_text="Default: the organisation for which you act.",
    )


class EndpointChange(InputSerializer):
    url = AddressField(max_length=LONGEST_URL, required=False)
    event_types = PatternsField(required=False)
    description = serializers.CharField(max_length=200, allow_blank=True, required=False)


class RotateInput(InputSerializer):
    overlap_seconds = serializers.IntegerField(
        min_value=0,
        max_value=int(LONGEST_OVERLAP.total_seconds()),
        default=int(OVERLAP.total_seconds()),
        help_text="How long the secret before signs too.",
    )


class RecoverInput(InputSerializer):
    since = serializers.DateTimeField(help_text="What was made at this moment or later and not delivered.")


class AttemptSerializer(EntitySerializer):
    outcome = serializers.ChoiceField(AttemptOutcome.values, read_only=True)

    class Meta:
        model = WebhookAttempt
        fields: ClassVar = [
            "number",
            "started_at",
            "duration_ms",
            "outcome",
            "status_code",
            "response_body",
            "error",
        ]


class DeliverySerializer(EntitySerializer):
    id = PublicIdField(WebhookDelivery, read_only=True)
    endpoint_id = PublicIdField(WebhookEndpoint, read_only=True)
    event_id = PublicIdField("evt", read_only=True, help_text="The header `webhook-id`, the same for each attempt.")
    subject = serializers.SerializerMethodField()
    status = serializers.ChoiceField(DeliveryStatus.values, read_only=True)
    last_outcome = serializers.ChoiceField(["", *AttemptOutcome.values], read_only=True)

    class Meta:
        model = WebhookDelivery
        fields: ClassVar = [
            "id",
            "endpoint_id",
            "event_id",
            "event_type",
            "subject",
            "is_test",
            "status",
            "attempts",
            "attempts_made",
            "next_attempt_at",
            "last_outcome",
            "last_status_code",
            "created_at",
            "finished_at",
        ]
        read_only_fields = fields

    @extend_schema_field(NamedSerializer)
    def get_subject(self, row: WebhookDelivery) -> dict[str, Any]:
        subject: dict[str, Any] = row.payload["data"]["subject"]
        return subject


class DeliveryDetailSerializer(DeliverySerializer):
    """A delivery with what is sent and what was answered, the newest attempt first."""

    payload = serializers.SerializerMethodField()
    attempt_log = AttemptSerializer(many=True, read_only=True, source="attempt_rows")

    class Meta(DeliverySerializer.Meta):
        fields: ClassVar = [*DeliverySerializer.Meta.fields, "payload", "attempt_log"]
        read_only_fields = fields

    @extend_schema_field(serializers.DictField())
    def get_payload(self, row: WebhookDelivery) -> dict[str, Any]:
        return readable_payload(row.payload)
