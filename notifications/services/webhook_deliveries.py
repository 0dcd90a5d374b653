"""From events to deliveries, and from a delivery to its next attempt or its end.

These are no commands: like the state of a job, what becomes of a delivery is its own log, and an event for each would
double the log. What a person should know (an endpoint disabled, a delivery given up) is an event.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from audit import record
from audit.models import Event, Position
from audit.selectors.reading import readable
from core import ids, personal
from core.actor import SYSTEM, ActorType
from core.api.replies import encode, moment
from core.breaker import Breaker, Open
from core.models import entities_by_type, with_public_ids
from core.relay.wake import wake_after_commit
from core.telemetry import metrics
from notifications import events
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.providers import standard_webhooks, webhook_http
from notifications.providers.webhook_http import Answer
from notifications.selectors import webhooks
from notifications.services import webhook_endpoints
from notifications.states import SCHEDULE, AttemptOutcome, DeliveryStatus, DisabledReason

DELIVER: Final = "notifications.deliver_webhook"
LONGEST_RETRY_AFTER: Final = timedelta(hours=24)
# What becomes of a delivery; the rest of its row never changes.
CHANGING: Final = (
    *("status", "attempts", "attempts_made", "next_attempt_at", "job_id"),
    *("last_outcome", "last_status_code", "finished_at"),
)
_JITTER: Final = 0.1
_SECTIONS: Final = ("before", "after", "data")


# --- From events to deliveries ---------------------------------------------------------------------------------------


def fan_out(batch: Sequence[Event], *, now: datetime) -> int:
    """Make one delivery for each event and each endpoint that wants it; return how many. Idempotent: a delivery that
    exists stays as it is. An endpoint is told of nothing that happened before it was made, nor of what lies so far
    back that its delivery may have been forgotten (somebody set the follower back)."""
    oldest = ids.lowest_id(now - timedelta(days=settings.WEBHOOK_RETENTION_DAYS))
    wanted = [
        event for event in batch if event.organization_id and event.pk >= oldest and webhooks.is_published(event.type)
    ]
    if not wanted:
        return 0
    endpoints: dict[UUID, list[WebhookEndpoint]] = {}
    organizations = {event.organization_id for event in wanted if event.organization_id}
    for endpoint in WebhookEndpoint.objects.filter(organization_id__in=organizations, deleted_at=None):
        endpoints.setdefault(endpoint.organization_id, []).append(endpoint)
    if not endpoints:
        return 0
    found = Position.objects.filter(event_id__in=[event.pk for event in wanted])
    positions = dict(found.values_list("event_id", "position"))
    rows = [
        _delivery(event, endpoint, positions[event.pk])
        for event in wanted
        for endpoint in endpoints.get(event.organization_id, ())  # type: ignore[arg-type]  # it is not None here
        if webhooks.wants(endpoint.event_types, event.type) and event.pk >= ids.lowest_id(endpoint.created_at)
    ]
    WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True, batch_size=250)
    return len(rows)


def _delivery(event: Event, endpoint: WebhookEndpoint, position: int) -> WebhookDelivery:
    """A disabled endpoint's delivery is skipped at once, and kept, so that it can be recovered."""
    is_enabled, recorded_at = endpoint.is_enabled, ids.moment_of(event.pk)
    return WebhookDelivery(
        endpoint=endpoint,
        organization_id=endpoint.organization_id,
        event_id=event.pk,
        event_type=event.type,
        position=position,
        subject_type=event.subject_type,
        subject_id=event.subject_id,
        payload=payload_of(event),
        status=DeliveryStatus.PENDING if is_enabled else DeliveryStatus.SKIPPED,
        next_attempt_at=recorded_at if is_enabled else None,
        finished_at=None if is_enabled else recorded_at,
    )


def payload_of(event: Event) -> dict[str, Any]:
    """Return what an organisation is told of an event: what happened to what, and the values before and after, with
    public ids. Left out are who did it and from where, a reason that staff gave, and personal fields of persons who
    are not the organisation's (they read null). The others stay encrypted until the moment of sending."""
    sections = {name: with_public_ids(_without_others(getattr(event, name))) for name in _SECTIONS}
    if event.actor_type == ActorType.STAFF and sections["data"]:
        sections["data"] = {name: value for name, value in sections["data"].items() if name != "reason"}
    return {
        "id": event.public_id,
        "type": event.type,
        "timestamp": moment(event.occurred_at),
        "data": {
            "organization_id": _public("organization", event.organization_id),
            "subject": {"type": event.subject_type, "id": _public(event.subject_type, event.subject_id)},
            **sections,
        },
    }


def _without_others(value: Any) -> Any:
    if personal.is_envelope(value):
        kind = entities_by_type.get(value["person"].partition(":")[0])
        return value if kind is not None and kind.organization_path is not None else None
    if isinstance(value, dict):
        return {name: _without_others(item) for name, item in value.items()}
    return value


def _public(kind: str, key: UUID | None) -> str | None:
    model = entities_by_type.get(kind)
    return None if key is None else ids.encode(model.id_prefix, key) if model else str(key)


def readable_payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload with personal fields in clear, null where the person was erased."""
    data = payload["data"]
    sealed = Event(context={}, **{name: data.get(name) for name in _SECTIONS})
    clear = readable([sealed], may_read_personal=True)[0]
    return {**payload, "data": {**data, "before": clear.before, "after": clear.after, "data": clear.data}}


# --- One attempt -----------------------------------------------------------------------------------------------------


def attempt(*, delivery_id: UUID, job_id: UUID, now: datetime) -> WebhookDelivery | None:
    """Send one delivery that the dispatcher gave to this job, and write down what came of it; None when it is not this
    job's any more. Runs outside of any transaction. Killed at any point it is run again, under the same webhook-id."""
    delivery = WebhookDelivery.objects.select_related("endpoint").filter(pk=delivery_id).first()
    if delivery is None or (delivery.status, delivery.job_id) != (DeliveryStatus.SENDING, job_id):
        return None
    endpoint = delivery.endpoint
    if not endpoint.is_enabled or endpoint.deleted_at is not None:
        return _settle(delivery, job_id, lambda locked: finish(locked, DeliveryStatus.SKIPPED, now))
    secrets = webhooks.secrets_of(endpoint, now)
    if not secrets:
        return _settle(delivery, job_id, lambda locked: finish(locked, DeliveryStatus.SKIPPED, now))  # just removed
    breaker = Breaker(f"webhook:{endpoint.pk}")
    try:
        leave = breaker.enter()
    except Open as fault:
        return _defer(delivery, job_id, now + timedelta(seconds=max(1.0, fault.seconds)))
    answer = send(delivery, secrets, now)
    (breaker.bad if answer.is_outage else breaker.good)(leave)
    return _settle(delivery, job_id, lambda locked: _note(locked, answer, now))


def send(delivery: WebhookDelivery, secrets: Sequence[str], now: datetime, *, timeout: float | None = None) -> Answer:
    """POST the delivery, signed with `secrets` for this moment. Changes nothing."""
    body = encode(readable_payload(delivery.payload)).encode()
    headers = standard_webhooks.headers(
        secrets,
        message_id=delivery.payload["id"],
        timestamp=int(now.timestamp()),
        body=body,
    )
    answer = webhook_http.post(
        delivery.endpoint.url, headers=headers, body=body, timeout=timeout or settings.WEBHOOK_TIMEOUT
    )
    seconds = answer.duration.total_seconds()
    metrics.OUTSIDE_CALLS.labels("webhooks", "deliver", str(answer.outcome)).observe(seconds)
    return answer


def note_attempt(delivery: WebhookDelivery, answer: Answer, now: datetime) -> None:
    """Write one attempt down, and what it tells of the endpoint. The caller saves the delivery."""
    delivery.attempts += 1
    delivery.attempts_made += 1
    delivery.last_outcome, delivery.last_status_code = answer.outcome, answer.status_code
    milliseconds = int(answer.duration / timedelta(milliseconds=1))
    WebhookAttempt.objects.create(
        delivery=delivery,
        number=delivery.attempts_made,
        started_at=now,
        duration_ms=milliseconds,
        outcome=answer.outcome,
        status_code=answer.status_code,
        response_body=answer.body,
        error=answer.error,
    )
    rows = WebhookEndpoint.objects.filter(pk=delivery.endpoint_id)
    if answer.is_delivered:
        rows.update(last_duration_ms=milliseconds, failing_since=None)
    elif not delivery.is_test:
        rows.filter(failing_since=None).update(failing_since=now)


def _settle(
    delivery: WebhookDelivery, job_id: UUID, decide: Callable[[WebhookDelivery], None]
) -> WebhookDelivery | None:
    """Lock the delivery and let `decide` write, unless another job has it by now."""
    with transaction.atomic():
        locked = WebhookDelivery.objects.select_for_update().get(pk=delivery.pk)
        if (locked.status, locked.job_id) != (DeliveryStatus.SENDING, job_id):
            return None
        decide(locked)
        locked.save(update_fields=CHANGING)
        wake_after_commit()
    return locked


def _defer(delivery: WebhookDelivery, job_id: UUID, until: datetime) -> WebhookDelivery | None:
    """The endpoint is left alone for a moment; this was no attempt."""

    def wait(locked: WebhookDelivery) -> None:
        _pause(locked.endpoint_id, until)
        locked.status, locked.next_attempt_at, locked.job_id = DeliveryStatus.PENDING, until, None

    return _settle(delivery, job_id, wait)


def _note(delivery: WebhookDelivery, answer: Answer, now: datetime) -> None:
    ended = now + answer.duration
    note_attempt(delivery, answer, now)
    if answer.is_delivered:
        finish(delivery, DeliveryStatus.SUCCEEDED, ended)
        return
    if answer.outcome == AttemptOutcome.GONE or delivery.attempts >= len(SCHEDULE):
        give_up(delivery, ended)
    else:
        retry(delivery, ended, answer.retry_after)
    _disable_when_hopeless(delivery.endpoint_id, answer, ended)


def retry(delivery: WebhookDelivery, ended: datetime, retry_after: timedelta | None = None) -> None:
    """Set the next attempt by the schedule, with jitter, and not before what the endpoint asked for."""
    wait = SCHEDULE[delivery.attempts] * (1 + random.uniform(0, _JITTER))  # noqa: S311 - spreads load, hides nothing
    if retry_after is not None:
        asked = min(retry_after, LONGEST_RETRY_AFTER)
        _pause(delivery.endpoint_id, ended + asked)
        wait = max(wait, asked)
    delivery.status, delivery.job_id, delivery.next_attempt_at = DeliveryStatus.PENDING, None, ended + wait


def _pause(endpoint_id: UUID, until: datetime) -> None:
    """Leave the endpoint alone until that moment at least."""
    is_sooner = Q(paused_until=None) | Q(paused_until__lt=until)
    WebhookEndpoint.objects.filter(is_sooner, pk=endpoint_id).update(paused_until=until)


def give_up(delivery: WebhookDelivery, ended: datetime) -> None:
    """No attempt is left. Writes `notifications.webhook_delivery.exhausted`."""
    finish(delivery, DeliveryStatus.FAILED, ended)
    data = {
        "endpoint_id": delivery.endpoint_id,
        "event_type": delivery.event_type,
        "event_id": delivery.event_id,
        "attempts": delivery.attempts,
        "outcome": delivery.last_outcome,
        "status_code": delivery.last_status_code,
    }
    record(events.WEBHOOK_DELIVERY_EXHAUSTED, actor=SYSTEM, subject=delivery, data=data)


def finish(delivery: WebhookDelivery, status: DeliveryStatus, ended: datetime) -> None:
    """End the delivery and let the next one of its subject go."""
    delivery.status, delivery.finished_at = status, ended
    delivery.job_id = delivery.next_attempt_at = None
    others = WebhookDelivery.objects.filter(
        endpoint_id=delivery.endpoint_id, subject_id=delivery.subject_id, status=DeliveryStatus.PENDING
    )
    following = others.exclude(pk=delivery.pk).order_by("position").values("pk")[:1]
    WebhookDelivery.objects.filter(pk__in=following, next_attempt_at=None).update(next_attempt_at=ended)


def _disable_when_hopeless(endpoint_id: UUID, answer: Answer, ended: datetime) -> None:
    endpoint = WebhookEndpoint.objects.select_for_update().get(pk=endpoint_id)
    if not endpoint.is_enabled or endpoint.deleted_at is not None:
        return
    longest = timedelta(days=settings.WEBHOOK_DISABLE_AFTER_DAYS)
    if answer.outcome == AttemptOutcome.GONE:
        webhook_endpoints.disable(actor=SYSTEM, endpoint=endpoint, reason=DisabledReason.GONE, now=ended)
    elif endpoint.failing_since is not None and ended - endpoint.failing_since >= longest:
        webhook_endpoints.disable(actor=SYSTEM, endpoint=endpoint, reason=DisabledReason.FAILING, now=ended)
