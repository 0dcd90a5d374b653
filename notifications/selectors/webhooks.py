"""Which events may go out, who wants them, and what signs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from core import personal
from core.events import EventType, catalogue
from core.models import entities_by_type
from notifications.models import WebhookDelivery, WebhookEndpoint, WebhookSecret
from notifications.states import UNFINISHED, DeliveryStatus

# What an organisation is told of. A new app's events stay inside until they are named here: some speak of how this
# installation works (jobs, refused commands), some of persons (sign-ins), and our own would answer themselves.
PUBLISHED: Final = (
    "accounts.organization.",
    "accounts.membership.",
    "accounts.invitation.",
    "accounts.api_key.",
    "billing.customer.",
    "billing.payment_method.",
    "billing.subscription.",
    "billing.invoice.",
    "billing.payment.",
    "billing.refund.",
)
_MANY: Final = ".*"
ENVELOPE_FIELD: Final = "secret"


def published() -> list[EventType]:
    """Return the event types that may go out, by name: those of PUBLISHED that speak of what an organisation has."""
    return [
        kind
        for name, kind in sorted(catalogue.items())
        if name.startswith(PUBLISHED) and _is_organizations(kind.subject)
    ]


def is_published(event_type: str) -> bool:
    """Whether events of this type may go out."""
    kind = catalogue.get(event_type)
    return kind is not None and event_type.startswith(PUBLISHED) and _is_organizations(kind.subject)


def wants(patterns: Iterable[str], event_type: str) -> bool:
    """Whether one of `patterns` names the type: the same name, `billing.invoice.*` for all that begin with
    `billing.invoice.`, `*` for all."""
    return any(
        pattern in (event_type, "*") or (pattern.endswith(_MANY) and event_type.startswith(pattern.removesuffix("*")))
        for pattern in patterns
    )


def unknown_patterns(patterns: Iterable[str]) -> list[str]:
    """Return those of `patterns` that name no type that may go out."""
    names = [kind.name for kind in published()]
    return [pattern for pattern in patterns if not any(wants([pattern], name) for name in names)]


def patterns() -> list[str]:
    """Return all that an endpoint may ask for: every name, and every pattern that names some."""
    found = {"*"}
    for kind in published():
        *parts, _ = kind.name.split(".")
        found |= {kind.name, *(".".join(parts[:depth]) + _MANY for depth in range(1, len(parts) + 1))}
    return sorted(found)


def secrets_of(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """Return the secrets that sign at `now`, the current one first."""
    valid = Q(expires_at=None) | Q(expires_at__gt=now)
    rows = sorted(endpoint.secrets.filter(valid), key=lambda row: row.expires_at is not None)
    reader = personal.Reader([row.envelope for row in rows])
    texts = (reader.read(row.envelope, field=ENVELOPE_FIELD) for row in rows)
    return [text for text in texts if text is not None]


def previous_secret(endpoint: WebhookEndpoint, now: datetime) -> WebhookSecret | None:
    """Return the secret that was replaced and signs still, if there is one."""
    return endpoint.secrets.filter(expires_at__gt=now).first()


def due_endpoints(now: datetime) -> list[WebhookEndpoint]:
    """Return the endpoints that have a delivery whose moment has come."""
    due = WebhookDelivery.objects.filter(status=DeliveryStatus.PENDING, next_attempt_at__lte=now)
    return list(WebhookEndpoint.objects.filter(pk__in=due.order_by().values("endpoint_id").distinct()).order_by("id"))


def due_heads(endpoint: WebhookEndpoint, now: datetime) -> QuerySet[WebhookDelivery]:
    """Return what may be sent to the endpoint now, the longest waiting first: of each subject only the earliest that
    is not finished, so that its deliveries go in the order of the log."""
    before = WebhookDelivery.objects.filter(
        endpoint_id=OuterRef("endpoint_id"),
        subject_id=OuterRef("subject_id"),
        position__lt=OuterRef("position"),
        status__in=UNFINISHED,
    )
    due = WebhookDelivery.objects.filter(endpoint=endpoint, status=DeliveryStatus.PENDING, next_attempt_at__lte=now)
    return due.filter(~Exists(before)).order_by("next_attempt_at", "position")


def places(endpoint: WebhookEndpoint) -> int:
    """Return how many deliveries to the endpoint may be under way at once. One that is slow or fails gets few, so
    that it does not hold the workers that others need."""
    if endpoint.failing_since is not None:
        return 1
    is_quick = endpoint.last_duration_ms is None or timedelta(milliseconds=endpoint.last_duration_ms) < _SLOW
    return 8 if is_quick else 2


_SLOW: Final = timedelta(seconds=1)


def recoverable(endpoint: WebhookEndpoint, since: datetime, until: datetime) -> QuerySet[WebhookDelivery]:
    """Return what the endpoint missed: made since the moment, and failed or skipped before `until`."""
    lost: Sequence[str] = (DeliveryStatus.FAILED, DeliveryStatus.SKIPPED)
    return WebhookDelivery.objects.filter(
        endpoint=endpoint, status__in=lost, created_at__gte=since, finished_at__lt=until, is_test=False
    )


def _is_organizations(subject: str) -> bool:
    model = entities_by_type.get(subject.replace("_", ""))
    return model is not None and model.organization_path is not None
