"""Staff rights: who is one of the company's own people. Somebody always is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.contrib.auth.models import Group

from accounts import events
from accounts.errors import LastStaffMember, NotFitForStaff, OwnStaffRights
from accounts.models import User
from accounts.selectors.people import is_proven
from accounts.services import sessions, staff_groups
from accounts.states import EndedReason
from audit import record
from core.actor import Actor
from core.commands import command


@command("accounts.staff.grant")
def grant(*, actor: Actor, user: User, reason: str, now: datetime, groups: Sequence[Group] = ()) -> User:
    """Make a person one of the company's own people, at once: an administrator, or one who may what `groups` may. Who
    is one already is bounded by the groups that are named, and stays so, without an event, when none is. Raises
    `NotFitForStaff` for one who may not sign in or whose address is not proven: anybody can sign up with anybody's
    address; `LastStaffMember`, and `Forbidden` for staff who are bounded themselves. Writes
    `accounts.user.staff_rights_granted` or `accounts.user.staff_groups_changed`."""
    staff_groups.require_unbounded(actor)
    user = user.refreshed_for_update()
    if user.is_staff:
        return _bound(actor, user, groups, reason, now) if groups else user
    if not user.is_active:
        raise NotFitForStaff("The person is deactivated.")
    if not is_proven(user):
        raise NotFitForStaff("The person has not proven their e-mail address.")
    _write(user, is_staff=True, is_administrator=not groups)
    staff_groups.put(user, groups)
    data = {"reason": reason, **_named(groups)}
    record(events.STAFF_RIGHTS_GRANTED, actor=actor, subject=user, data=data, occurred_at=now)
    return user


@command("accounts.staff.make_administrator")
def make_administrator(*, actor: Actor, user: User, reason: str, now: datetime) -> User:
    """Let a staff member whom groups bound do everything. Writes `accounts.user.staff_groups_changed`. Raises
    `NotFitForStaff` for who is no staff member."""
    staff_groups.require_unbounded(actor)
    user = user.refreshed_for_update()
    if not user.is_staff:
        raise NotFitForStaff("The person is no staff member.")
    return user if user.is_superuser else _bound(actor, user, (), reason, now)


def _bound(actor: Actor, user: User, groups: Sequence[Group], reason: str, now: datetime) -> User:
    if groups and user.is_superuser:
        if user.pk == actor.id:
            raise OwnStaffRights("Ask a colleague to bound your staff rights.")
        keep_one(user)
    before = {} if user.is_superuser else _named(user.groups.order_by("name"))
    _write(user, is_staff=True, is_administrator=not groups)
    staff_groups.put(user, groups)
    if before != _named(groups):
        record(
            events.STAFF_BOUNDED,
            actor=actor,
            subject=user,
            before=before,
            after=_named(groups),
            data={"reason": reason},
            occurred_at=now,
        )
    return user


def _named(groups: Iterable[Group]) -> dict[str, list[str]]:
    names = sorted(group.name for group in groups)
    return {"groups": names} if names else {}


@command("accounts.staff.revoke")
def revoke(*, actor: Actor, user: User, reason: str, now: datetime) -> User:
    """Take a person's staff rights and end their sessions, in the API and in the admin, at once; one who has none stays
    so, without an event. Raises `OwnStaffRights`, `LastStaffMember`. Writes `accounts.user.staff_rights_revoked` and
    `accounts.session.ended` for each session."""
    staff_groups.require_unbounded(actor)
    keep_one(user)
    user = user.refreshed_for_update()
    if not user.is_staff:
        return user
    if user.pk == actor.id:
        raise OwnStaffRights("Ask a colleague to take your staff rights.")
    _write(user, is_staff=False, is_administrator=False)
    staff_groups.put(user, ())
    record(events.STAFF_RIGHTS_REVOKED, actor=actor, subject=user, data={"reason": reason}, occurred_at=now)
    sessions.end_all(actor=actor, user=user, reason=EndedReason.STAFF_RIGHTS_REVOKED, now=now)
    sessions.end_admin_sessions(user=user, now=now)
    return user


def keep_one(user: User) -> None:
    """Refuse to lose the last administrator who may sign in. All of them are locked, so that of two who shut each other
    out at the same moment one stays. Raises `LastStaffMember`."""
    members = (
        User.objects.filter(is_staff=True, is_superuser=True, is_active=True)
        .order_by("pk")
        .select_for_update(of=("self",))
    )
    if set(members.values_list("pk", flat=True)) == {user.pk}:
        raise LastStaffMember("Make somebody else an administrator first.")


def _write(user: User, *, is_staff: bool, is_administrator: bool) -> None:
    user.is_staff, user.is_superuser = is_staff, is_administrator
    user.save(update_fields=["is_staff", "is_superuser"])
