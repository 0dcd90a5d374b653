"""Choosing how to be told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import User
from core import context
from core.actor import ANONYMOUS, Actor
from core.commands import command
from core.errors import FieldFault, InvalidInput, NotFound
from core.events import record
from core.time_zones import is_time_zone
from notifications import events
from notifications.errors import KindIsMandatory
from notifications.models import NotificationPreferences
from notifications.preferences import Choice, Choices
from notifications.services.inbox import require_person
from notifications.states import KINDS, MailChoice


@command("notifications.preferences.change")
def change(
    *, actor: Actor, choices: Mapping[str, Choice], time_zone: str = "", now: datetime
) -> NotificationPreferences:
    """Set one's own choices; kinds that are not named get their defaults back. Raises `KindIsMandatory`, InvalidInput
    on an unknown kind or time zone. Writes `notifications.preferences.changed` when something changed."""
    person_id = require_person(actor)
    _check(choices, time_zone)
    # What is mandatory cannot be chosen and is not kept.
    kept = {
        name: {"inbox": choice.inbox, "email": str(choice.email)}
        for name, choice in choices.items()
        if not KINDS[name].is_mandatory and choice != Choices({}).of(name)
    }
    return _set(actor, locked(person_id), kept, time_zone, now)


@command("notifications.preferences.unsubscribe")
def unsubscribe(*, person_id: UUID, kind: str, now: datetime) -> NotificationPreferences:
    """Switch a kind off by mail (every kind that comes by the digest, when `kind` names none), for who came by the
    signed link of a mail and is not signed in. Idempotent. Raises `KindIsMandatory`, and NotFound when the person is
    gone. Writes `notifications.preferences.changed`."""
    if not User.objects.filter(pk=person_id).exists():
        raise NotFound("There is no such person any more.")
    row = locked(person_id)
    chosen = Choices(row.choices)
    if kind in KINDS:
        if KINDS[kind].is_mandatory:
            raise KindIsMandatory
        concerned = [kind]
    else:
        concerned = [name for name, choice in chosen.all(is_staff=True).items() if choice.email == MailChoice.DIGEST]
    off = {name: {"inbox": chosen.of(name).inbox, "email": str(MailChoice.OFF)} for name in concerned}
    return _set(ANONYMOUS, row, {**row.choices, **off}, row.time_zone, now)


def stored(*, actor: Actor) -> NotificationPreferences:
    """Return one's own row as it is stored, made with the defaults when there is none: what `If-Match` is compared
    with. Raises Forbidden for who is no person."""
    with transaction.atomic():
        return locked(require_person(actor))


def locked(person_id: UUID) -> NotificationPreferences:
    """Return the person's row, made when there is none, locked."""
    NotificationPreferences.objects.bulk_create([NotificationPreferences(person_id=person_id)], ignore_conflicts=True)
    return NotificationPreferences.objects.select_for_update(of=("self",)).get(person_id=person_id)


def _check(choices: Mapping[str, Choice], time_zone: str) -> None:
    if time_zone and not is_time_zone(time_zone):
        raise InvalidInput.at("/time_zone", "This is not an IANA time zone such as Europe/Berlin.", "unknown_time_zone")
    unknown = [
        FieldFault("/choices", "unknown_kind", f"There is no kind '{name}'.") for name in choices if name not in KINDS
    ]
    if unknown:
        raise InvalidInput("The input is not valid.", faults=unknown)
    for name, choice in choices.items():
        if KINDS[name].is_mandatory and choice != Choices({}).of(name):
            raise KindIsMandatory(f"'{name}' is always told, in the inbox and at once by e-mail.", kind=name)


def _set(
    actor: Actor, row: NotificationPreferences, choices: Mapping[str, Any], time_zone: str, now: datetime
) -> NotificationPreferences:
    before = {"choices": row.choices, "time_zone": row.time_zone}
    after = {"choices": dict(choices), "time_zone": time_zone}
    if before == after:
        return row
    row.choices, row.time_zone = after["choices"], time_zone
    row.save(update_fields=["choices", "time_zone"])
    with context.changed(organization_id=None):
        record(events.PREFERENCES_CHANGED, actor=actor, subject=row, before=before, after=after, occurred_at=now)
    return row
