"""What no event tells, since nothing happens: a moment that comes near."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from accounts.models import ApiKey, Membership
from accounts.providers.mail import one_line
from core.access import ADMINS
from notifications.news import moment
from notifications.services.inbox import Draft, store
from notifications.templates import Written

JOB: Final = "notifications.remind"
AHEAD: Final = timedelta(days=7)
_CHUNK: Final = 500


def remind_of_expiring_keys(*, now: datetime) -> int:
    """Tell administrators of API keys that expire within a week, once for each key and moment; return how many rows are
    new."""
    keys = ApiKey.objects.filter(revoked_at=None, expires_at__gt=now, expires_at__lte=now + AHEAD)
    made = 0
    batch: list[ApiKey] = []
    for key in keys.select_related("organization").order_by("pk").iterator(chunk_size=_CHUNK):
        batch.append(key)
        if len(batch) == _CHUNK:
            made += _remind(batch)
            batch = []
    return made + _remind(batch)


def _remind(keys: list[ApiKey]) -> int:
    admins: dict[UUID, list[UUID]] = {}
    members = Membership.objects.filter(
        organization_id__in={key.organization_id for key in keys}, role__in=ADMINS, user__is_active=True
    )
    for organization_id, user_id in members.values_list("organization_id", "user_id"):
        admins.setdefault(organization_id, []).append(user_id)
    return store([_draft(key, person_id) for key in keys for person_id in admins.get(key.organization_id, ())])


def _draft(key: ApiKey, person_id: UUID) -> Draft:
    assert key.expires_at is not None
    name, organization = one_line(key.name), one_line(key.organization.name)
    written = Written(
        subject=f"The API key {name} expires soon"[:300],
        text=f'The API key "{name}" of {organization} expires on {moment(key.expires_at)}. Programs that use it are '
        "refused from then on: make a new one and give it to them before.",
        url="/settings/api-keys",
        values={"organization": organization},
        personal={},
    )
    return Draft(
        person_id=person_id,
        kind="api_keys",
        unique=f"api-key-expires:{key.pk}:{key.expires_at:%Y%m%dT%H%M%S}",
        written=written,
        organization_id=key.organization_id,
    )
