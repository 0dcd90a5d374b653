"""Who may do what, by roles: fills the port `core.access`.

* Staff hold every permission that is for staff, and see everything.
* A person holds what their role in the object's organisation gives, and sees what belongs to their organisations.
* An API key acts in its own organisation, at most as an administrator, within its scopes. It sees its organisation and
  the kinds of things on which it has any scope.
* What belongs to no organisation is for staff, save what is a person's own: themselves and their sessions.
* The anonymous hold nothing and see nothing.

`allows` takes one query at most, `visible` none of its own (a subquery), however many rows there are.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from accounts import permissions as own
from accounts.models import Membership, Session, User
from accounts.selectors import memberships
from core import context
from core.access import EVERYTHING, NOTHING, Permission, Reach, Role
from core.actor import Actor, ActorType

_M = TypeVar("_M", bound=Model)

_OF_ONESELF = frozenset({own.USER_VIEW.name, own.USER_EDIT.name, own.SESSION_END.name})
_ROLE_OF_KEYS = Role.ADMIN
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class RolePolicy:
    """Answers by the roles of `Membership`."""

    def allows(self, actor: Actor, permission: Permission, obj: Any) -> bool:
        if actor.is_staff:
            return permission.is_for_staff
        if actor.id is None or not _is_in_scope(actor, permission.name):
            return False
        if actor.type is ActorType.USER and permission.name in _OF_ONESELF and _is_own(actor, obj):
            return True
        if not permission.roles:
            return False
        organization_id = context.current().organization_id if obj is None else organization_of(obj)
        return organization_id is not None and _role(actor, organization_id) in permission.roles

    def sees(self, actor: Actor, obj: Model) -> bool:
        if actor.is_staff:
            return True
        if actor.id is None:
            return False
        if actor.type is ActorType.USER and _is_own(actor, obj):
            return True
        organization_id = organization_of(obj)
        return organization_id is not None and _role(actor, organization_id) is not None

    def visible(self, actor: Actor, queryset: QuerySet[_M]) -> QuerySet[_M]:
        if actor.is_staff:
            return queryset
        if actor.id is None:
            return queryset.none()
        path = getattr(queryset.model, "organization_path", None)
        if path is None:
            return _own_rows(actor, queryset)
        if actor.organization_id is not None:
            is_reached = path == "id" or _reaches(actor, queryset)
            return queryset.filter(**{path: actor.organization_id}) if is_reached else queryset.none()
        mine = _organizations_of(actor.id, None if path == "id" else context.current().organization_id)
        return queryset.filter(**{f"{path}__in": mine})

    def reach(self, actor: Actor, permissions: Collection[Permission]) -> dict[str, Reach]:
        """Like `visible`, a key reaches the kinds of things on which it has any scope; a chosen organisation bounds."""
        if actor.is_staff:
            return {each.name: EVERYTHING if each.is_for_staff else NOTHING for each in permissions}
        if actor.id is None:
            return {each.name: NOTHING for each in permissions}
        roles, chosen = _roles(actor), context.current().organization_id
        return {
            each.name: Reach(
                frozenset(
                    organization_id
                    for organization_id, role in roles.items()
                    if role in each.roles and chosen in (None, organization_id)
                )
                if _has_scope_on(actor, *each.name.split(".")[:2])
                else frozenset()
            )
            for each in permissions
        }


def organization_of(obj: Any) -> UUID | None:
    """Return the id of the organisation to which a row belongs, by its model's `organization_path`."""
    path = getattr(obj, "organization_path", None)
    if path is None:
        return None
    value = obj
    for part in path.split("__"):
        value = getattr(value, part, None)
        if value is None:
            return None
    return value if isinstance(value, UUID) else None


def _role(actor: Actor, organization_id: UUID) -> Role | None:
    if actor.organization_id is not None:
        return _ROLE_OF_KEYS if actor.organization_id == organization_id else None
    assert actor.id is not None
    return memberships.role_in(actor.id, organization_id)


def _roles(actor: Actor) -> dict[UUID, Role]:
    """Return what the actor is in each of its organisations; one query, or none when the request knows."""
    assert actor.id is not None
    if actor.organization_id is not None:
        return {actor.organization_id: _ROLE_OF_KEYS}
    return memberships.roles_of(actor.id)


def _is_in_scope(actor: Actor, permission: str) -> bool:
    if actor.scopes is None:
        return True
    app, noun, _verb = permission.split(".", 2)
    return bool(actor.scopes & {permission, f"{app}.{noun}.*", f"{app}.*"})


def _reaches(actor: Actor, queryset: QuerySet[Any]) -> bool:
    """Whether a key has any scope on the kind of thing: who may cancel a subscription may see it."""
    options = queryset.model._meta
    return _has_scope_on(actor, options.app_label, _CAPITAL.sub("_", options.object_name or "").lower())


def _has_scope_on(actor: Actor, app: str, noun: str) -> bool:
    if actor.scopes is None:
        return True
    return any(scope == f"{app}.*" or scope.startswith(f"{app}.{noun}.") for scope in actor.scopes)


def _organizations_of(user_id: UUID, chosen: UUID | None) -> Any:
    """The person's organisations, or the chosen one when it is among them: what the request knows, else a subquery."""
    known = memberships.known_organizations(user_id)
    if known is None:
        mine = Membership.objects.filter(user_id=user_id).values("organization_id")
        return mine if chosen is None else mine.filter(organization_id=chosen)
    return [organization_id for organization_id in known if chosen is None or organization_id == chosen]


def _is_own(actor: Actor, obj: Any) -> bool:
    return (isinstance(obj, User) and obj.pk == actor.id) or (isinstance(obj, Session) and obj.user_id == actor.id)


def _own_rows(actor: Actor, queryset: QuerySet[_M]) -> QuerySet[_M]:
    if actor.type is ActorType.USER and issubclass(queryset.model, User):
        return queryset.filter(pk=actor.id)
    if actor.type is ActorType.USER and issubclass(queryset.model, Session):
        return queryset.filter(user_id=actor.id)
    return queryset.none()
