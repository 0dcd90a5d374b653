"""What somebody holds in an organisation: nobody gives what they do not hold."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from accounts.errors import PermissionNotHeld
from accounts.models import CustomRole, Organization, RoleAssignment, ServiceAccount, Team, TeamMember, User
from core import access
from core.access import Permission, Role
from core.actor import Actor


def grantable() -> dict[str, Permission]:
    """Return the permissions that an organisation may give by roles of its own: those of an administrator, by name."""
    return {name: one for name, one in sorted(access.permissions.items()) if Role.ADMIN in access.holders(name).roles}


def held_by(actor: Actor, organization: Organization) -> frozenset[str]:
    """Return which of the `grantable` permissions the actor holds there."""
    return frozenset(name for name in grantable() if access.allows(actor, name, organization))


def permissions_of_role(role: Role | str) -> frozenset[str]:
    """Return which of the `grantable` permissions a role of the house gives."""
    return frozenset(name for name in grantable() if role in access.holders(name).roles)


def permissions_of(recipient: User | Team | ServiceAccount) -> frozenset[str]:
    """Return what a team or a service account would give to whoever joins it or acts as it."""
    field = {User: "user", Team: "team", ServiceAccount: "service_account"}[type(recipient)]
    has = Q(**{field: recipient})
    if not isinstance(recipient, Team):
        has |= Q(team__in=TeamMember.objects.filter(**{field: recipient}).values("team_id"))
    roles = CustomRole.objects.filter(pk__in=RoleAssignment.objects.filter(has).values("role_id"))
    found = frozenset(name for one in roles for name in one.permissions)
    return found | permissions_of_role(recipient.role) if isinstance(recipient, ServiceAccount) else found


def refuse_more_than_held(actor: Actor, organization: Organization, wanted: Iterable[str]) -> None:
    """Raise `PermissionNotHeld`, naming them, when the actor lacks some of the permissions that it would give."""
    asked = frozenset(wanted)
    missing = sorted(asked - held_by(actor, organization)) if asked else []
    if missing:
        raise PermissionNotHeld(f"You do not hold: {', '.join(missing)}.", permissions=missing)
