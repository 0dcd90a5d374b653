"""Roles of an organisation's own making: named sets of permissions, given to members, teams and service accounts.

Nobody gives what they do not hold: a role gets no permission, and nobody a role, that its giver lacks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from accounts import events
from accounts.errors import NameTaken
from accounts.models import CustomRole, Organization, RoleAssignment
from accounts.selectors import holding
from accounts.selectors.recipients import Found, column_of, is_of, told
from accounts.services.locks import is_taken, lock_organization, still_there
from accounts.services.stale_tuples import forget
from audit import record
from core import streams
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import InvalidInput


@command("accounts.custom_role.create")
def create(
    *, actor: Actor, organization: Organization, name: str, permissions: Iterable[str], description: str = ""
) -> CustomRole:
    """Make a role that nobody holds yet. Writes `accounts.custom_role.created`. Raises `NameTaken`, `InvalidInput` for
    permissions that no role may have, `PermissionNotHeld` for those that the actor lacks."""
    require(actor, "accounts.custom_role.manage", organization)
    wanted = _known(permissions)
    lock_organization(organization.pk)
    holding.refuse_more_than_held(actor, organization, wanted)
    _refuse_taken(organization.pk, name)
    role = CustomRole.objects.create(organization=organization, name=name, description=description, permissions=wanted)
    after = {"name": name, "description": description, "permissions": wanted}
    record(events.CUSTOM_ROLE_CREATED, actor=actor, subject=role, after=after)
    return role


@command("accounts.custom_role.update")
def update(
    *,
    actor: Actor,
    role: CustomRole,
    name: str | None = None,
    description: str | None = None,
    permissions: Iterable[str] | None = None,
) -> CustomRole:
    """Change a role; what is None stays. Whoever holds it has what it gives now, from the commit on. Writes
    `accounts.custom_role.updated` when something changed. Raises as `create`, for permissions that are added."""
    require(actor, "accounts.custom_role.manage", role)
    lock_organization(role.organization_id)
    role = still_there(role)
    wanted: dict[str, Any] = {"name": name, "description": description}
    wanted["permissions"] = _known(permissions) if permissions is not None else None
    changes = {key: value for key, value in wanted.items() if value is not None and value != getattr(role, key)}
    if not changes:
        return role
    if "name" in changes:
        _refuse_taken(role.organization_id, changes["name"], but=role)
    if "permissions" in changes:
        holding.refuse_more_than_held(actor, role.organization, set(changes["permissions"]) - set(role.permissions))
        streams.wake(streams.ACCESS_CHANGED)
    before = {key: getattr(role, key) for key in changes}
    for key, value in changes.items():
        setattr(role, key, value)
    role.save(update_fields=list(changes))
    record(events.CUSTOM_ROLE_UPDATED, actor=actor, subject=role, before=before, after=changes)
    return role


@command("accounts.custom_role.delete")
def delete(*, actor: Actor, role: CustomRole) -> None:
    """Delete a role; whoever held it loses what it gave. Writes `accounts.custom_role.deleted`."""
    require(actor, "accounts.custom_role.manage", role)
    lock_organization(role.organization_id)
    role = still_there(role)
    data = {"assignees": RoleAssignment.objects.filter(role=role).count()}
    before = {"name": role.name, "permissions": role.permissions}
    record(events.CUSTOM_ROLE_DELETED, actor=actor, subject=role, before=before, data=data)
    forget(role)
    streams.wake(streams.ACCESS_CHANGED)
    role.delete()


@command("accounts.role_assignment.create")
def assign(*, actor: Actor, role: CustomRole, recipient: Found) -> tuple[RoleAssignment, bool]:
    """Give a role to a member, team or service account of its organisation; returns the row and whether it is new.
    Writes `accounts.role_assignment.created` when it is. Raises `InvalidInput` for whoever is not of the organisation,
    `PermissionNotHeld` when the role has what the actor lacks."""
    require(actor, "accounts.custom_role.manage", role)
    lock_organization(role.organization_id)
    role = still_there(role)
    if not is_of(role.organization_id, recipient):
        raise InvalidInput.at("/assignee_id", "There is nobody of this id in the organisation.", "does_not_exist")
    holding.refuse_more_than_held(actor, role.organization, role.permissions)
    row, is_new = RoleAssignment.objects.get_or_create(role=role, **column_of(recipient))
    if is_new:
        streams.wake(streams.ACCESS_CHANGED)
        record(events.ROLE_ASSIGNED, actor=actor, subject=row, after=_told(row))
    return row, is_new


@command("accounts.role_assignment.remove")
def unassign(*, actor: Actor, assignment: RoleAssignment) -> None:
    """Take a role from somebody. Writes `accounts.role_assignment.removed`."""
    require(actor, "accounts.custom_role.manage", assignment.role)
    lock_organization(assignment.role.organization_id)
    _remove(actor, still_there(assignment))


def take_all(actor: Actor, organization_id: UUID, recipient: Found) -> None:
    """Take every role of an organisation from somebody, inside a command that holds its lock. Writes
    `accounts.role_assignment.removed` for each."""
    rows = RoleAssignment.objects.select_related("role").filter(role__organization_id=organization_id)
    for row in rows.filter(**column_of(recipient)).order_by("pk"):
        _remove(actor, row)


def _remove(actor: Actor, row: RoleAssignment) -> None:
    streams.wake(streams.ACCESS_CHANGED)
    record(events.ROLE_UNASSIGNED, actor=actor, subject=row, before=_told(row))
    row.delete()


def _known(permissions: Iterable[str]) -> list[str]:
    wanted, known = sorted(set(permissions)), holding.grantable()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InvalidInput.at("/permissions", f"No role may have: {', '.join(unknown)}.", "unknown_permission")
    if not wanted:
        raise InvalidInput.at("/permissions", "Name at least one permission.", "required")
    return wanted


def _told(row: RoleAssignment) -> dict[str, str]:
    return {"role_id": str(row.role_id), **told(row)}


def _refuse_taken(organization_id: UUID, name: str, but: CustomRole | None = None) -> None:
    others = CustomRole.objects.filter(organization_id=organization_id)
    if is_taken(others.exclude(pk=but.pk) if but else others, name):
        raise NameTaken
