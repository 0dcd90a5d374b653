"""Sending again: one delivery, or all that an endpoint missed; and trying an endpoint out."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Model

from audit import record
from core import ids, jobs
from core.access import require
from core.actor import Actor
from core.api.replies import moment
from core.commands import command
from core.errors import InvalidInput, InvalidTransition, NotFound
from core.models import Job
from core.relay.wake import wake_after_commit
from notifications import events
from notifications.errors import EndpointDisabled
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.selectors import webhooks
from notifications.services import webhook_deliveries
from notifications.states import FINISHED, DeliveryStatus

RECOVER: Final = "notifications.recover_webhooks"
_TEST_TIMEOUT: Final = 10.0  # somebody waits for it
_CHUNK: Final = 500


@command("notifications.webhook_delivery.replay")
def replay(*, actor: Actor, delivery: WebhookDelivery, now: datetime) -> WebhookDelivery:
    """Send a finished delivery again, with all its attempts and under the same webhook-id. Writes
    `notifications.webhook_delivery.replayed`. Raises `InvalidTransition` while it is still on its way,
    `EndpointDisabled`."""
    require(actor, "notifications.webhook_delivery.replay", delivery)
    delivery = delivery.refreshed_for_update()
    if delivery.status not in FINISHED:
        raise InvalidTransition(current_status=delivery.status, command="replay", allowed_commands=())
    _refuse_disabled(delivery.endpoint)
    before = {"status": delivery.status}
    delivery.status, delivery.attempts = DeliveryStatus.PENDING, 0
    delivery.next_attempt_at, delivery.finished_at = now, None
    delivery.save()
    after = {"status": delivery.status}
    data = {"event_type": delivery.event_type, "event_id": delivery.event_id}
    record(
        events.WEBHOOK_DELIVERY_REPLAYED,
        actor=actor,
        subject=delivery,
        before=before,
        after=after,
        data=data,
        occurred_at=now,
    )
    return delivery


@command("notifications.webhook_endpoint.recover")
def recover(*, actor: Actor, endpoint: WebhookEndpoint, since: datetime, now: datetime) -> Job:
    """Queue all deliveries that failed or were skipped and were made since the moment; return the job that does it.
    Writes `notifications.webhook_endpoint.recovered`. Raises `InvalidInput` for a moment to come, and
    `EndpointDisabled`."""
    require(actor, "notifications.webhook_delivery.replay", endpoint)
    endpoint = endpoint.refreshed_for_update()
    _refuse_disabled(endpoint)
    if since > now:
        raise InvalidInput.at("/since", "It lies in the future.", "in_the_future")
    payload = {"endpoint_id": str(endpoint.pk), "since": since.isoformat(), "until": now.isoformat()}
    job = jobs.enqueue(RECOVER, payload, actor=actor, organization_id=endpoint.organization_id)
    count = webhooks.recoverable(endpoint, since, now).count()
    data = {"since": since, "deliveries": count, "job_id": job.pk}
    record(events.WEBHOOK_ENDPOINT_RECOVERED, actor=actor, subject=endpoint, data=data, occurred_at=now)
    return job


def requeue(endpoint: WebhookEndpoint, *, since: datetime, until: datetime, now: datetime) -> int:
    """Make what `recover` names pending, 500 in a transaction, in the order of the log; return how many. What fails
    anew stays failed when this runs twice."""
    total = 0
    while True:
        with transaction.atomic():
            found = webhooks.recoverable(endpoint, since, until).order_by("position", "id")
            keys = list(found.values_list("pk", flat=True)[:_CHUNK])
            WebhookDelivery.objects.filter(pk__in=keys, status__in=FINISHED).update(
                status=DeliveryStatus.PENDING, attempts=0, next_attempt_at=now, finished_at=None
            )
            wake_after_commit()
        total += len(keys)
        if len(keys) < _CHUNK:
            return total


@command("notifications.webhook_endpoint.send_test", is_durable=True)
def send_test(*, actor: Actor, endpoint: WebhookEndpoint, operation_key: str, now: datetime) -> WebhookDelivery:
    """Send a test event now, once, and return its delivery with the answer. Also a disabled endpoint can be tested.
    Writes `notifications.webhook_endpoint.tested`. Run again with one `operation_key` it returns the first result, and
    sends again only when the process died in between."""
    require(actor, "notifications.webhook_endpoint.manage", endpoint)
    secrets = webhooks.secrets_of(endpoint, now)
    if endpoint.deleted_at is not None or not secrets:
        raise NotFound("The webhook endpoint was removed.")
    delivery = WebhookDelivery.objects.filter(operation_key=operation_key, endpoint=endpoint).first()
    if delivery is None:
        delivery = _test_delivery(actor, endpoint, operation_key, now)
    if delivery.status in FINISHED:
        return delivery
    answer = webhook_deliveries.send(delivery, secrets, now, timeout=_TEST_TIMEOUT)
    with transaction.atomic():
        delivery = delivery.refreshed_for_update()
        webhook_deliveries.note_attempt(delivery, answer, now)
        delivery.status = DeliveryStatus.SUCCEEDED if answer.is_delivered else DeliveryStatus.FAILED
        delivery.finished_at = now + answer.duration
        delivery.save()
    return delivery


def _test_delivery(actor: Actor, endpoint: WebhookEndpoint, operation_key: str, now: datetime) -> WebhookDelivery:
    """A test is an event like any other, and so has an id like any other. It is no job's: whoever asked waits."""
    with transaction.atomic():
        event_id = record(events.WEBHOOK_ENDPOINT_TESTED, actor=actor, subject=endpoint, occurred_at=now)
        payload = {
            "id": ids.encode("evt", event_id),
            "type": events.WEBHOOK_ENDPOINT_TESTED.name,
            "timestamp": moment(now),
            "data": {
                "organization_id": _public(endpoint.organization),
                "subject": {"type": "webhookendpoint", "id": endpoint.public_id},
                "before": None,
                "after": None,
                "data": {"text": "This is a test."},
            },
        }
        return WebhookDelivery.objects.create(
            endpoint=endpoint,
            organization_id=endpoint.organization_id,
            event_id=event_id,
            event_type=events.WEBHOOK_ENDPOINT_TESTED.name,
            subject_type="webhookendpoint",
            subject_id=event_id,  # a lane of its own
            payload=payload,
            is_test=True,
            operation_key=operation_key,
        )


def _public(row: Model) -> str:
    return str(getattr(row, "public_id", row.pk))


def _refuse_disabled(endpoint: WebhookEndpoint) -> None:
    if endpoint.deleted_at is not None:
        raise NotFound("The webhook endpoint was removed.")
    if not endpoint.is_enabled:
        raise EndpointDisabled("Enable it first.")
