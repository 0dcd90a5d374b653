"""What somebody holds in an organisation: nobody gives what they do not hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from accounts.errors import PermissionNotHeld
from accounts.models import Organization, ServiceAccount, Team
from accounts.permissions import asking, product
from core import access
from core.access import Permission, Role
from core.actor import Actor


def grantable() -> dict[str, Permission]:
    """Return the permissions that an organisation may give by roles of its own: those of an administrator, by name."""
    return {name: one for name, one in sorted(access.permissions.items()) if Role.ADMIN in access.holders(name).roles}


def held_by(actor: Actor, organization: Organization, names: Collection[str] | None = None) -> frozenset[str]:
    """Return which of the `grantable` permissions (or of some others, `names`) the actor holds there. One question to
    the engine."""
    asked = grantable() if names is None else names
    if actor.is_system:
        return frozenset(asked)
    if actor.is_staff:
        return frozenset(name for name, where in access.reach(actor, asked).items() if where.is_everything)
    subject = product.subject_of(actor)
    return _given_to(subject, organization.pk, asked) if subject is not None else frozenset()


def permissions_of_role(role: Role | str) -> frozenset[str]:
    """Return which of the `grantable` permissions a role of the house gives."""
    return frozenset(name for name in grantable() if role in access.holders(name).roles)


def permissions_of(recipient: Team | ServiceAccount) -> frozenset[str]:
    """Return what a team or a service account gives to whoever joins it or acts as it: by whatever it was given. One
    question to the engine."""
    kind = "#member" if isinstance(recipient, Team) else ""
    found = _given_to(f"{product.object_of(recipient)}{kind}", recipient.organization_id, grantable())
    # The role of one that is deactivated is no relation until it is active again.
    return found | permissions_of_role(recipient.role) if isinstance(recipient, ServiceAccount) else found


def _given_to(subject: str, organization_id: UUID, names: Collection[str]) -> frozenset[str]:
    answers = asking.check_many([(subject, name, f"organization:{organization_id}") for name in names])
    return frozenset(name for name, answer in zip(names, answers, strict=True) if answer is True)


def refuse_more_than_held(actor: Actor, organization: Organization, wanted: Iterable[str]) -> None:
    """Raise `PermissionNotHeld`, naming them, when the actor lacks some of the permissions that it would give."""
    asked = frozenset(wanted)
    missing = sorted(asked - held_by(actor, organization, asked)) if asked else []
    if missing:
        raise PermissionNotHeld(f"You do not hold: {', '.join(missing)}.", permissions=missing)
