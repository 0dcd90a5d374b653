"""Setting webhook endpoints up, changing them, and rotating what signs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from accounts.models import Organization
from audit import record
from core import personal
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import InvalidInput, InvalidTransition, NotFound
from notifications import events
from notifications.errors import TooManyEndpoints
from notifications.models import WebhookEndpoint, WebhookSecret
from notifications.providers import addresses, standard_webhooks
from notifications.selectors import webhooks
from notifications.states import DisabledReason

MOST_ENDPOINTS = 50
OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=7)
_MANAGE = "notifications.webhook_endpoint.manage"


@command("notifications.webhook_endpoint.create")
def create(
    *,
    actor: Actor,
    organization: Organization,
    url: str,
    event_types: Sequence[str],
    description: str = "",
    now: datetime,
) -> tuple[WebhookEndpoint, str]:
    """Set up an endpoint and return it with its secret, which is never seen again. Writes
    `notifications.webhook_endpoint.created`. Raises `InvalidInput` for a URL or a type to which or of which nothing is
    sent, `TooManyEndpoints`."""
    require(actor, _MANAGE, organization)
    _check_url(url)
    wanted = _checked_types(event_types)
    organization = organization.refreshed_for_update()
    if WebhookEndpoint.objects.filter(organization=organization, deleted_at=None).count() >= MOST_ENDPOINTS:
        raise TooManyEndpoints(f"It has {MOST_ENDPOINTS}; remove one first.")
    endpoint = WebhookEndpoint.objects.create(
        organization=organization, url=url, description=description, event_types=wanted, created_at=now
    )
    secret = _new_secret(endpoint, now)
    record(events.WEBHOOK_ENDPOINT_CREATED, actor=actor, subject=endpoint, after=_facts(endpoint), occurred_at=now)
    return endpoint, secret


@command("notifications.webhook_endpoint.update")
def update(
    *,
    actor: Actor,
    endpoint: WebhookEndpoint,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    description: str | None = None,
    now: datetime,
) -> WebhookEndpoint:
    """Change what is given. What is under way already goes to the new URL. Writes
    `notifications.webhook_endpoint.updated` when something changed. Raises `InvalidInput` as `create` does."""
    endpoint = _locked(actor, endpoint)
    before = _facts(endpoint)
    old_url = endpoint.url
    if url is not None:
        _check_url(url)
        endpoint.url = url
    if event_types is not None:
        endpoint.event_types = _checked_types(event_types)
    if description is not None:
        endpoint.description = description
    after = _facts(endpoint)
    changed = [name for name in after if after[name] != before[name]]
    if not changed and endpoint.url == old_url:
        return endpoint
    endpoint.save()
    record(
        events.WEBHOOK_ENDPOINT_UPDATED,
        actor=actor,
        subject=endpoint,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
        occurred_at=now,
    )
    return endpoint


@command("notifications.webhook_endpoint.delete")
def delete(*, actor: Actor, endpoint: WebhookEndpoint, now: datetime) -> None:
    """Remove an endpoint; its secrets cease to exist, and nothing more is sent. Its deliveries stay to be looked at
    until they are too old. Writes `notifications.webhook_endpoint.deleted`."""
    endpoint = _locked(actor, endpoint)
    endpoint.deleted_at = now
    endpoint.save()
    endpoint.secrets.all().delete()
    personal.destroy_key(endpoint)
    record(events.WEBHOOK_ENDPOINT_DELETED, actor=actor, subject=endpoint, before=_facts(endpoint), occurred_at=now)


@command("notifications.webhook_endpoint.enable")
def enable(*, actor: Actor, endpoint: WebhookEndpoint, now: datetime) -> WebhookEndpoint:
    """Send events again, from now on; what was missed is queued by `webhook_recovery.recover`. Writes
    `notifications.webhook_endpoint.enabled`. Raises `InvalidTransition` when it is enabled."""
    endpoint = _locked(actor, endpoint)
    if endpoint.is_enabled:
        raise InvalidTransition(current_status="enabled", command="enable", allowed_commands=["disable"])
    before = {"is_enabled": False, "disabled_reason": endpoint.disabled_reason}
    endpoint.is_enabled, endpoint.disabled_at, endpoint.disabled_reason = True, None, ""
    endpoint.failing_since = endpoint.paused_until = None
    endpoint.save()
    after = {"is_enabled": True, "disabled_reason": ""}
    record(events.WEBHOOK_ENDPOINT_ENABLED, actor=actor, subject=endpoint, before=before, after=after, occurred_at=now)
    return endpoint


@command("notifications.webhook_endpoint.disable")
def disable(
    *,
    actor: Actor,
    endpoint: WebhookEndpoint,
    reason: DisabledReason = DisabledReason.BY_HAND,
    now: datetime,
) -> WebhookEndpoint:
    """Send nothing any more; what falls due meanwhile is skipped. Writes `notifications.webhook_endpoint.disabled`.
    Raises `InvalidTransition` when it is disabled."""
    endpoint = _locked(actor, endpoint)
    if not endpoint.is_enabled:
        raise InvalidTransition(current_status="disabled", command="disable", allowed_commands=["enable"])
    endpoint.is_enabled, endpoint.disabled_at, endpoint.disabled_reason = False, now, reason
    endpoint.save()
    record(
        events.WEBHOOK_ENDPOINT_DISABLED,
        actor=actor,
        subject=endpoint,
        before={"is_enabled": True},
        after={"is_enabled": False, "disabled_reason": str(reason)},
        data={"url": endpoint.shown_url, "failing_since": endpoint.failing_since, "description": endpoint.description},
        occurred_at=now,
    )
    return endpoint


@command("notifications.webhook_endpoint.rotate_secret")
def rotate_secret(
    *, actor: Actor, endpoint: WebhookEndpoint, overlap: timedelta = OVERLAP, now: datetime
) -> tuple[WebhookEndpoint, str]:
    """Give the endpoint a new secret and return it. The one before signs beside it for `overlap`; one that was
    replaced earlier ends now. Writes `notifications.webhook_endpoint.secret_rotated`. Raises `InvalidInput` for an
    overlap beyond seven days."""
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidInput.at("/overlap_seconds", f"Expected 0 to {int(LONGEST_OVERLAP.total_seconds())}.")
    endpoint = _locked(actor, endpoint)
    endpoint.secrets.filter(expires_at__isnull=False).delete()
    if overlap:
        endpoint.secrets.update(expires_at=now + overlap)
    else:
        endpoint.secrets.all().delete()
    endpoint.save()  # its version moves: whoever reads it learns that a secret was replaced
    secret = _new_secret(endpoint, now)
    data = {"previous_valid_until": now + overlap if overlap else None}
    record(events.WEBHOOK_ENDPOINT_SECRET_ROTATED, actor=actor, subject=endpoint, data=data, occurred_at=now)
    return endpoint, secret


def _locked(actor: Actor, endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Return the endpoint locked. Raises Forbidden, and NotFound also for one that was removed."""
    require(actor, _MANAGE, endpoint)
    endpoint = endpoint.refreshed_for_update()
    if endpoint.deleted_at is not None:
        raise NotFound("The webhook endpoint was removed.")
    return endpoint


def _new_secret(endpoint: WebhookEndpoint, now: datetime) -> str:
    secret = standard_webhooks.new_secret()
    envelope = personal.encrypt(endpoint, secret, field=webhooks.ENVELOPE_FIELD)
    WebhookSecret.objects.create(endpoint=endpoint, envelope=envelope, created_at=now)
    return secret


def _check_url(url: str) -> None:
    try:
        addresses.check_url(url)
    except ValueError as fault:
        raise InvalidInput.at("/url", str(fault), "invalid_url") from None


def _checked_types(event_types: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(event_types))
    if not wanted:
        raise InvalidInput.at("/event_types", "Name at least one event type.", "required")
    unknown = webhooks.unknown_patterns(wanted)
    if unknown:
        raise InvalidInput.at(
            "/event_types", f"No event that may be sent is named {', '.join(unknown)}.", "unknown_event_type"
        )
    return wanted


def _facts(endpoint: WebhookEndpoint) -> dict[str, object]:
    """What events tell of an endpoint: not the query of its URL, in which some keep a password."""
    return {
        "url": endpoint.shown_url,
        "description": endpoint.description,
        "event_types": list(endpoint.event_types),
    }
