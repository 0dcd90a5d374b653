"""Staff rights: who is one of the company's own people. Somebody always is."""

from __future__ import annotations

from datetime import datetime

from accounts import events
from accounts.errors import LastStaffMember, NotFitForStaff, OwnStaffRights
from accounts.models import User
from accounts.permissions import STAFF_MANAGE
from accounts.selectors.people import is_proven
from accounts.services import sessions
from accounts.states import EndedReason
from audit import record
from core.access import require
from core.actor import Actor
from core.commands import command


@command("accounts.staff.grant")
def grant(*, actor: Actor, user: User, reason: str, now: datetime) -> User:
    """Make a person one of the company's own people, at once; one who is already stays so, without an event. Raises
    `NotFitForStaff` for one who may not sign in or whose address is not proven: anybody can sign up with anybody's
    address. Writes `accounts.user.staff_rights_granted`."""
    require(actor, STAFF_MANAGE.name)
    user = user.refreshed_for_update()
    if user.is_staff:
        return user
    if not user.is_active:
        raise NotFitForStaff("The person is deactivated.")
    if not is_proven(user):
        raise NotFitForStaff("The person has not proven their e-mail address.")
    _write(user, is_staff=True)
    record(events.STAFF_RIGHTS_GRANTED, actor=actor, subject=user, data={"reason": reason}, occurred_at=now)
    sessions.doubt_sessions_of(user.pk)
    return user


@command("accounts.staff.revoke")
def revoke(*, actor: Actor, user: User, reason: str, now: datetime) -> User:
    """Take a person's staff rights and end their sessions, in the API and in the admin, at once; one who has none stays
    so, without an event. Raises `OwnStaffRights`, `LastStaffMember`. Writes `accounts.user.staff_rights_revoked` and
    `accounts.session.ended` for each session."""
    require(actor, STAFF_MANAGE.name)
    keep_one(user)
    user = user.refreshed_for_update()
    if not user.is_staff:
        return user
    if user.pk == actor.id:
        raise OwnStaffRights("Ask a colleague to take your staff rights.")
    _write(user, is_staff=False)
    record(events.STAFF_RIGHTS_REVOKED, actor=actor, subject=user, data={"reason": reason}, occurred_at=now)
    sessions.end_all(actor=actor, user=user, reason=EndedReason.STAFF_RIGHTS_REVOKED, now=now)
    sessions.end_admin_sessions(user=user, now=now)
    return user


def keep_one(user: User) -> None:
    """Refuse to lose the last staff member who may sign in. All of them are locked, so that of two who shut each other
    out at the same moment one stays. Raises `LastStaffMember`."""
    members = User.objects.filter(is_staff=True, is_active=True).order_by("pk").select_for_update(of=("self",))
    if set(members.values_list("pk", flat=True)) == {user.pk}:
        raise LastStaffMember("Make somebody else a staff member first.")


def _write(user: User, *, is_staff: bool) -> None:
    user.is_staff = user.is_superuser = is_staff
    user.save(update_fields=["is_staff", "is_superuser"])
