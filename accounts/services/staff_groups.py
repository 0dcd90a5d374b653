"""Groups of staff: Django's own, and what each of them may do. Whoever belongs to none and is no administrator may
come into the admin, and do and see nothing there.

What a group may is a tuple of the permission engine (`company:this#<permission>@staff_group:<id>#member`); who belongs
to it stays with Django and enters with each question.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Expression, F, QuerySet, TextField, Value
from django.db.models.functions import Cast

from accounts import events
from accounts.errors import NameTaken
from accounts.models import RelationTuple, User
from accounts.permissions import STAFF_MANAGE, asking
from accounts.permissions.product import COMPANY, STORE
from accounts.permissions.tuples import Object, Subject, Tuple
from accounts.services import sessions
from audit import record
from core import access
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import Forbidden, InvalidInput
from core.events import Subject as EventSubject


@command("accounts.staff_group.save")
def save(*, actor: Actor, name: str, permissions: Collection[str], group: Group | None = None) -> Group:
    """Make a group of staff, or change what one is called and may do; its members may so at once. Writes
    `accounts.staff_group.changed` when something changed. Raises `NameTaken`, `InvalidInput` for a permission that
    staff cannot hold, and `Forbidden` for staff who are bounded by groups themselves."""
    require_unbounded(actor)
    unknown = sorted(name for name in permissions if not _is_for_staff(name))
    if unknown:
        raise InvalidInput.at("/permissions", f"Unknown: {', '.join(unknown)}.", "unknown_permission")
    others = Group.objects.exclude(pk=group.pk) if group else Group.objects.all()
    if others.filter(name__iexact=name).exists():
        raise NameTaken
    group = Group.objects.select_for_update().get(pk=group.pk) if group else Group.objects.create(name=name)
    before, after = (
        {"name": group.name, "permissions": held_by(group)},
        {"name": name, "permissions": sorted(permissions)},
    )
    if group.name != name:
        group.name = name
        group.save(update_fields=["name"])
    asking.delete([_tuple(group, one) for one in before["permissions"] if one not in permissions])
    asking.write([_tuple(group, one) for one in sorted(permissions)])
    if before != after:
        record(events.STAFF_GROUP_CHANGED, actor=actor, subject=_subject(group), before=before, after=after)
    return group


@command("accounts.staff_group.delete")
def delete(*, actor: Actor, group: Group) -> None:
    """Remove a group; its members may no longer what it alone gave them. Writes `accounts.staff_group.deleted`."""
    require_unbounded(actor)
    held = held_by(group)
    asking.delete([_tuple(group, one) for one in held])
    record(
        events.STAFF_GROUP_DELETED,
        actor=actor,
        subject=_subject(group),
        before={"name": group.name, "permissions": held},
    )
    for member in User.objects.filter(groups=group):
        sessions.doubt_sessions_of(member.pk)
    group.delete()


def held_by(group: Group) -> list[str]:
    """Return the permissions of a group, in order."""
    return sorted(tuples_of(Value(group.pk)).values_list("relation", flat=True))


def tuples_of(key: Expression | F) -> QuerySet[RelationTuple]:
    """Return the tuples that say what the group of a key may."""
    return RelationTuple.objects.filter(
        store__name=STORE,
        subject_type="staff_group",
        subject_id=Cast(key, TextField()),
        subject_relation="member",
        object_type="company",
    )


def grantable() -> list[str]:
    """Return the permissions that a group of staff may have."""
    return [name for name in sorted(access.permissions) if _is_for_staff(name)]


def require_unbounded(actor: Actor) -> None:
    """Raise `Forbidden` for whoever may not say what staff may do: nobody gives what they do not hold, and only an
    administrator holds everything."""
    require(actor, STAFF_MANAGE.name)
    if actor.staff_groups is not None:
        raise Forbidden("Only an administrator, whom no group bounds, may say what staff may do.")


def put(user: User, groups: Iterable[Group]) -> None:
    """Write to which groups a staff member belongs, inside a command; none: an administrator."""
    with transaction.atomic():
        user.groups.set(groups)
        sessions.doubt_sessions_of(user.pk)


def _is_for_staff(name: str) -> bool:
    return name in access.permissions and access.holders(name).is_for_staff


def _tuple(group: Group, permission: str) -> Tuple:
    return Tuple(Object.parse(COMPANY), permission, Subject("staff_group", str(group.pk), "member"))


def _subject(group: Group) -> EventSubject:
    return EventSubject("staff_group", UUID(int=group.pk))
