"""Sharing: an organisation lets somebody see one row of its own, be they of it or not."""

from __future__ import annotations

from uuid import UUID

from accounts import events
from accounts.models import Organization, Share, User
from accounts.permissions import product
from accounts.selectors import holding
from accounts.selectors.recipients import Found, column_of, is_of, told
from accounts.selectors.shareable import organization_id_of
from accounts.services.locks import lock_organization, still_there
from audit import record
from core import streams
from core.access import permissions, require
from core.actor import Actor
from core.commands import command
from core.errors import InvalidInput
from core.models import Entity


@command("accounts.share.create")
def create(*, actor: Actor, row: Entity, recipient: Found) -> tuple[Share, bool]:
    """Let a person (of any organisation or none), a team or a service account of the row's organisation see the row;
    returns the share and whether it is new. Writes `accounts.share.created` when it is. Raises `InvalidInput` for a row
    that belongs to no organisation and for a team or service account of another, `PermissionNotHeld` when the actor may
    not see such rows themselves."""
    require(actor, "accounts.share.manage", row)
    organization_id = organization_id_of(row, "/object")
    organization = Organization.objects.get(pk=organization_id)
    lock_organization(organization_id)
    if not isinstance(recipient, User) and not is_of(organization_id, recipient):
        raise InvalidInput.at("/with", "There is nobody of this id in the organisation.", "does_not_exist")
    view = f"{row._meta.app_label}.{product.type_of(type(row))}.view"
    holding.refuse_more_than_held(actor, organization, {view} & set(permissions))
    share, is_new = Share.objects.get_or_create(
        object_type=product.type_of(type(row)),
        object_id=row.pk,
        **column_of(recipient),
        defaults={
            "organization_id": organization_id,
            "created_by_id": actor.person_id,
        },
    )
    if is_new:
        streams.wake(streams.ACCESS_CHANGED)
        record(events.SHARE_CREATED, actor=actor, subject=share, after=_told(share))
    return share, is_new


@command("accounts.share.revoke")
def revoke(*, actor: Actor, share: Share) -> None:
    """Take a share back. Writes `accounts.share.revoked`."""
    require(actor, "accounts.share.manage", share)
    lock_organization(share.organization_id)
    _revoke(actor, still_there(share))


def take_all(actor: Actor, organization_id: UUID, recipient: Found) -> None:
    """Take back all that an organisation shared with somebody, inside a command that holds its lock. Writes
    `accounts.share.revoked` for each."""
    rows = Share.objects.filter(organization_id=organization_id, **column_of(recipient))
    for row in rows.order_by("pk"):
        _revoke(actor, row)


def _revoke(actor: Actor, share: Share) -> None:
    streams.wake(streams.ACCESS_CHANGED)
    record(events.SHARE_REVOKED, actor=actor, subject=share, before=_told(share))
    share.delete()


def _told(share: Share) -> dict[str, str]:
    return {f"{share.object_type}_id": str(share.object_id), **told(share)}
