"""Where an organisation's events are sent, and what became of each."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organization
from core.models import Entity
from notifications.states import FINISHED, UNFINISHED, AttemptOutcome, DeliveryStatus, DisabledReason

LONGEST_URL = 2000


class WebhookEndpoint(Entity):
    """An address of an organisation's own to which its events are sent.

    `failing_since` is the first failure after the last success; `paused_until` (an open breaker, a Retry-After) and
    `last_duration_ms` bound how much is sent at once. These three are written beside the commands and move no version.
    """

    id_prefix = "whe"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    url = models.CharField("URL", max_length=LONGEST_URL)
    description = models.CharField(max_length=200, blank=True)
    event_types = ArrayField(
        models.CharField(max_length=100), help_text='Names, or patterns such as "billing.invoice.*".'
    )
    is_enabled = models.BooleanField(default=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=10, choices=DisabledReason.choices, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    failing_since = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)
    last_duration_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = "webhook endpoint"
        indexes = [
            models.Index(
                fields=["organization", "-id"], name="notifications_endpoint_org", condition=Q(deleted_at=None)
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(is_enabled=True, disabled_at=None, disabled_reason="")
                | Q(is_enabled=False, disabled_at__isnull=False),
                name="notifications_endpoint_disabled",
            )
        ]

    def __str__(self) -> str:
        return self.shown_url

    @property
    def shown_url(self) -> str:
        """The URL without its query, in which some keep a password: what logs and events may hold."""
        return self.url.partition("?")[0]


class WebhookSecret(models.Model):
    """A secret that signs, encrypted under the key of its endpoint. The one without `expires_at` is shown on
    rotation and never again; another signs beside it until it expires."""

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="secrets")
    envelope = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint"], condition=Q(expires_at=None), name="notifications_secret_one_current"
            ),
        ]

    def __str__(self) -> str:
        return f"secret {self.pk}"


class WebhookDelivery(Entity):
    """One event for one endpoint. `payload` is fixed when the row is made; personal fields stand in it as envelopes
    (`core.personal`), so that whoever was erased meanwhile is not sent.

    `position` is the event's place in the log: deliveries of one subject to one endpoint go in that order.
    `attempts` counts since the last replay, `attempts_made` all.
    """

    id_prefix = "whd"

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    event_id = models.UUIDField()
    event_type = models.CharField(max_length=100)
    position = models.BigIntegerField(default=0)
    subject_type = models.CharField(max_length=50)
    subject_id = models.UUIDField()
    payload = models.JSONField()
    is_test = models.BooleanField(default=False)
    operation_key = models.CharField(max_length=100, null=True, blank=True, unique=True, editable=False)

    status = models.CharField(max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    attempts_made = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    job_id = models.UUIDField(null=True, blank=True, editable=False)
    last_outcome = models.CharField(max_length=20, choices=AttemptOutcome.choices, blank=True)
    last_status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "webhook delivery"
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(fields=["organization", "-id"], name="notifications_delivery_org"),
            models.Index(fields=["endpoint", "-id"], name="notifications_delivery_newest"),
            models.Index(fields=["endpoint", "status", "-id"], name="notifications_delivery_status"),
            models.Index(
                fields=["endpoint", "next_attempt_at"],
                name="notifications_delivery_due",
                condition=Q(status=DeliveryStatus.PENDING),
            ),
            models.Index(
                fields=["endpoint", "subject_id", "position"],
                name="notifications_delivery_lane",
                condition=Q(status__in=UNFINISHED),
            ),
            models.Index(
                fields=["job_id"], name="notifications_delivery_sending", condition=Q(status=DeliveryStatus.SENDING)
            ),
            models.Index(
                fields=["finished_at"], name="notifications_delivery_old", condition=Q(finished_at__isnull=False)
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event_id"], name="notifications_delivery_once"),
            models.CheckConstraint(condition=Q(status__in=DeliveryStatus.values), name="notifications_delivery_known"),
            models.CheckConstraint(
                condition=Q(status__in=UNFINISHED, finished_at=None)
                | Q(status__in=FINISHED, finished_at__isnull=False),
                name="notifications_delivery_finished",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} ({self.public_id})"


class WebhookAttempt(models.Model):
    """One request, sent or not. `number` counts over all replays; `response_body` is the beginning of the answer."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="attempt_rows")
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    outcome = models.CharField(max_length=20, choices=AttemptOutcome.choices)
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    response_body = models.TextField(blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="notifications_attempt_number"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}"
