"""Who belongs to an organisation, and as what. An organisation always keeps an owner."""

from __future__ import annotations

from accounts import events
from accounts.errors import AlreadyMember, LastOwner
from accounts.models import Membership, Organization, User
from accounts.selectors import holding
from accounts.services import custom_roles, sessions, shares, teams
from accounts.services.locks import lock_organization, still_there
from audit import record
from core.access import Role, require
from core.actor import Actor
from core.commands import command


@command("accounts.membership.create")
def create(*, actor: Actor, organization: Organization, user: User, role: Role) -> Membership:
    """Make `user` a member at once, without an invitation (staff, demo data). Writes `accounts.membership.created`.
    Raises `AlreadyMember`."""
    require(actor, "accounts.membership.manage", organization)
    lock_organization(organization.pk)
    require_for_role(actor, organization, role)
    return join(actor=actor, organization=organization, user=user, role=role)


def join(*, actor: Actor, organization: Organization, user: User, role: Role) -> Membership:
    """Write the membership and its event, inside a command that has locked the organisation and has asked for
    permission. Raises `AlreadyMember`."""
    member, is_new = Membership.objects.get_or_create(organization=organization, user=user, defaults={"role": role})
    if not is_new:
        raise AlreadyMember
    sessions.doubt_sessions_of(user.pk)
    after = {"user_id": str(user.pk), "role": str(role)}
    record(events.MEMBERSHIP_CREATED, actor=actor, subject=member, after=after)
    return member


@command("accounts.membership.change_role")
def change_role(*, actor: Actor, membership: Membership, role: Role) -> Membership:
    """Give a member another role. Writes `accounts.membership.role_changed`. Raises `LastOwner`, and
    `PermissionNotHeld` for a role that has more than the actor; only owners make and unmake owners."""
    require(actor, "accounts.membership.manage", membership)
    member = _locked(membership)
    before = Role(member.role)
    require_for_role(actor, membership.organization, before)
    require_for_role(actor, membership.organization, role)
    return member if before == role else give_role(actor=actor, member=member, role=role)


def give_role(*, actor: Actor, member: Membership, role: Role) -> Membership:
    """Write another role and its event, inside a command that has locked the organisation and the member and has asked
    for permission. Raises `LastOwner`."""
    before = Role(member.role)
    if before == Role.OWNER:
        _refuse_last_owner(member)
    member.role = role
    member.save(update_fields=["role"])
    sessions.doubt_sessions_of(member.user_id)
    record(
        events.MEMBERSHIP_ROLE_CHANGED,
        actor=actor,
        subject=member,
        before={"role": str(before)},
        after={"role": str(role)},
        data={"user_id": str(member.user_id)},
    )
    return member


@command("accounts.membership.remove")
def remove(*, actor: Actor, membership: Membership) -> None:
    """Take a member out, with all that the organisation gave them: teams, custom roles, shares; everybody may leave.
    Writes `accounts.membership.removed`, and an event for each thing that is taken. Raises `LastOwner`."""
    is_leaving = actor.id == membership.user_id
    if not is_leaving:
        require(actor, "accounts.membership.manage", membership)
    member = _locked(membership)
    if not is_leaving and member.role == Role.OWNER:
        require(actor, "accounts.ownership.manage", membership.organization)
    take_out(actor=actor, member=member)


def take_out(*, actor: Actor, member: Membership) -> None:
    """Delete a membership with all that hangs on it, inside a command that has locked the organisation and the member
    and has asked for permission. Writes the events of `remove`. Raises `LastOwner`."""
    if member.role == Role.OWNER:
        _refuse_last_owner(member)
    sessions.doubt_sessions_of(member.user_id)
    teams.leave_all(actor, member.organization_id, member.user)
    custom_roles.take_all(actor, member.organization_id, member.user)
    shares.take_all(actor, member.organization_id, member.user)
    before = {"user_id": str(member.user_id), "role": member.role}
    record(events.MEMBERSHIP_REMOVED, actor=actor, subject=member, before=before)
    member.delete()


def _locked(membership: Membership) -> Membership:
    """Lock the organisation, then the member: two owners who leave at once must see each other."""
    lock_organization(membership.organization_id)
    return still_there(membership)


def require_for_role(actor: Actor, organization: Organization, role: Role) -> None:
    """Raise `Forbidden` or `PermissionNotHeld` when the actor may not give the role: only owners make owners, and
    nobody gives what they do not hold."""
    if role == Role.OWNER:
        require(actor, "accounts.ownership.manage", organization)
    else:
        holding.refuse_more_than_held(actor, organization, holding.permissions_of_role(role))


def _refuse_last_owner(member: Membership) -> None:
    others = Membership.objects.filter(organization_id=member.organization_id, role=Role.OWNER).exclude(pk=member.pk)
    if not others.exists():
        raise LastOwner
