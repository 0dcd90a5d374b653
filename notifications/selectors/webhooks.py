"""Which events may go out, who wants them, and what signs them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Case, Count, IntegerField, Min, Q, QuerySet, When

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
    "accounts.team.",
    "accounts.team_member.",
    "accounts.custom_role.",
    "accounts.role_assignment.",
    "accounts.service_account.",
    "accounts.share.",
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


def due(endpoint: WebhookEndpoint, now: datetime) -> QuerySet[WebhookDelivery]:
    """Return what may be sent to the endpoint now, the longest waiting first, whether or not it is its turn."""
    rows = WebhookDelivery.objects.filter(endpoint=endpoint, status=DeliveryStatus.PENDING, next_attempt_at__lte=now)
    return rows.order_by("next_attempt_at", "position").defer("payload")


def first_of(endpoint: WebhookEndpoint, subjects: Collection[UUID]) -> dict[UUID, UUID]:
    """Return of each subject the key of the delivery whose turn it is: the one under way, else the earliest that is
    not finished. They are locked until the transaction ends, so that none of them ends meanwhile."""
    unfinished = WebhookDelivery.objects.filter(endpoint=endpoint, status__in=UNFINISHED)
    in_turn = unfinished.filter(subject_id__in=subjects).order_by("subject_id", _UNDER_WAY.desc(), "position")
    keys = list(in_turn.distinct("subject_id").values_list("pk", flat=True))
    locked = unfinished.filter(pk__in=keys).order_by("id").select_for_update()
    return dict(locked.values_list("subject_id", "pk"))


def left_behind() -> list[UUID]:
    """Return the deliveries whose turn it is and that nothing would ever wake: all of their subject wait for the one
    before. There are none unless a process died in an unforeseen place."""
    lanes = WebhookDelivery.objects.filter(status__in=UNFINISHED, is_test=False).values("endpoint_id", "subject_id")
    active = Count("pk", filter=Q(next_attempt_at__isnull=False) | Q(status=DeliveryStatus.SENDING))
    found = lanes.annotate(active=active, first=Min("position")).filter(active=0)[:_MOST_LANES]
    keys: list[UUID] = []
    for lane in found:
        rows = WebhookDelivery.objects.filter(
            endpoint_id=lane["endpoint_id"], subject_id=lane["subject_id"], position=lane["first"]
        )
        keys += rows.filter(status=DeliveryStatus.PENDING).values_list("pk", flat=True)[:1]
    return keys


def places(endpoint: WebhookEndpoint) -> int:
    """Return how many deliveries to the endpoint may be under way at once. One that is slow or fails gets few, so
    that it does not hold the workers that others need."""
    return 8 if is_quick(endpoint) else 1


def is_quick(endpoint: WebhookEndpoint) -> bool:
    """Whether the endpoint answers, and soon, as far as is known."""
    is_slow = endpoint.last_duration_ms is not None and timedelta(milliseconds=endpoint.last_duration_ms) >= _SLOW
    return endpoint.failing_since is None and not is_slow


_SLOW: Final = timedelta(seconds=1)
_MOST_LANES: Final = 500
_UNDER_WAY: Final = Case(When(status=DeliveryStatus.SENDING, then=1), default=0, output_field=IntegerField())


def recoverable(endpoint: WebhookEndpoint, since: datetime, until: datetime) -> QuerySet[WebhookDelivery]:
    """Return what the endpoint missed: made since the moment, and failed or skipped before `until`."""
    lost: Sequence[str] = (DeliveryStatus.FAILED, DeliveryStatus.SKIPPED)
    return WebhookDelivery.objects.filter(
        endpoint=endpoint, status__in=lost, created_at__gte=since, finished_at__lt=until, is_test=False
    )


def _is_organizations(subject: str) -> bool:
    model = entities_by_type.get(subject.replace("_", ""))
    return model is not None and model.organization_path is not None
