"""Turning due deliveries into jobs: the relay alone decides what goes next, so that no two processes disagree."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from core import clock, jobs
from core.actor import SYSTEM
from core.jobs import Priority
from core.models import Job, JobState
from core.relay import HeldLease, duty
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.selectors import webhooks
from notifications.services.webhook_deliveries import CHANGING, DELIVER, give_up, retry
from notifications.states import SCHEDULE, DeliveryStatus

FORGET_JOB: Final = "notifications.forget_old_webhooks"
CHUNK: Final = 500
_LOOKED_AT: Final = 200


@duty("webhooks", order=25)
def dispatch(lease: HeldLease) -> int:
    """Make a job for each delivery that may go now; return how many were made or ended."""
    return dispatch_due(clock.now(), lease)


def dispatch_due(now: datetime, lease: HeldLease | None = None) -> int:
    """As the duty, at `now`. An endpoint that is paused waits, one that is disabled or removed has its due ones
    skipped."""
    done = 0
    for endpoint in webhooks.due_endpoints(now):
        with transaction.atomic():
            if lease is not None:
                lease.hold()
            if not endpoint.is_enabled or endpoint.deleted_at is not None:
                done += _skip(endpoint, now)
            elif endpoint.paused_until is None or endpoint.paused_until <= now:
                done += _hand_over(endpoint, now)
    return done


def _hand_over(endpoint: WebhookEndpoint, now: datetime) -> int:
    """Give jobs to what is due while places are free. Of each subject only one goes at a time, the earliest in the log;
    those behind it lose their moment (they are not looked at again) and get a new one when it ends (`finish`)."""
    under_way = WebhookDelivery.objects.filter(endpoint=endpoint, status=DeliveryStatus.SENDING).count()
    free = webhooks.places(endpoint) - under_way
    if free <= 0:
        return 0
    due = list(webhooks.due(endpoint, now)[:_LOOKED_AT])
    first = webhooks.first_of(endpoint, {delivery.subject_id for delivery in due})
    behind = [delivery.pk for delivery in due if first.get(delivery.subject_id) not in (None, delivery.pk)]
    made = 0
    for delivery in due:
        if made < free and first.get(delivery.subject_id) == delivery.pk:
            _make_job(endpoint, delivery)
            made += 1
    WebhookDelivery.objects.filter(pk__in=behind).update(next_attempt_at=None)
    return made + len(behind)


def _make_job(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> None:
    """Those that answer soon go before those that would hold a worker."""
    priority = Priority.NORMAL if webhooks.is_quick(endpoint) else Priority.LOW
    payload = {"delivery_id": str(delivery.pk), "endpoint_id": str(endpoint.pk)}
    job = jobs.enqueue(DELIVER, payload, actor=SYSTEM, priority=priority)
    delivery.status, delivery.job_id = DeliveryStatus.SENDING, job.pk
    delivery.save(update_fields=["status", "job_id"])


def _skip(endpoint: WebhookEndpoint, now: datetime) -> int:
    waiting = Q(next_attempt_at__lte=now) | Q(next_attempt_at=None)
    due = WebhookDelivery.objects.filter(waiting, endpoint=endpoint, status=DeliveryStatus.PENDING, is_test=False)
    keys = list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:CHUNK])
    return WebhookDelivery.objects.filter(pk__in=keys, status=DeliveryStatus.PENDING).update(
        status=DeliveryStatus.SKIPPED, finished_at=now, next_attempt_at=None
    )


@duty("take back webhooks", every=60, order=26)
def take_back(lease: HeldLease) -> int:
    """Take deliveries back from jobs that ended without an answer: among the dead letters, discarded, or gone. Each
    counts as an attempt, so that one that kills its worker does not go on for ever. Wake what was left behind."""
    alive = Job.objects.filter(pk=OuterRef("job_id"), state__in=[JobState.QUEUED, JobState.RUNNING])
    now = clock.now()
    with transaction.atomic():
        lease.hold()
        left = WebhookDelivery.objects.select_for_update().filter(~Exists(alive), status=DeliveryStatus.SENDING)
        rows = list(left[:CHUNK])
        for delivery in rows:
            delivery.attempts += 1
            if delivery.attempts >= len(SCHEDULE):
                give_up(delivery, now)
            else:
                retry(delivery, now)
            delivery.save(update_fields=CHANGING)
        stuck = WebhookDelivery.objects.filter(pk__in=webhooks.left_behind(), next_attempt_at=None)
        woken = stuck.filter(status=DeliveryStatus.PENDING).update(next_attempt_at=now)
    return len(rows) + woken


def forget_old(now: datetime) -> int:
    """Delete deliveries that ended longer ago than WEBHOOK_RETENTION_DAYS, 500 at a time, then removed endpoints that
    have none left; return how many deliveries."""
    horizon, total = now - timedelta(days=settings.WEBHOOK_RETENTION_DAYS), 0
    while True:
        old = WebhookDelivery.objects.filter(finished_at__lt=horizon).order_by("finished_at")
        keys = list(old.values_list("pk", flat=True)[:CHUNK])
        WebhookDelivery.objects.filter(pk__in=keys).delete()
        total += len(keys)
        if len(keys) < CHUNK:
            break
    # A test whose process died while it was sent has no end of its own.
    WebhookDelivery.objects.filter(is_test=True, finished_at=None, created_at__lt=horizon).delete()
    WebhookEndpoint.objects.filter(deleted_at__lt=horizon, deliveries=None).delete()
    return total
