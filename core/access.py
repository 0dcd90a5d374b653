"""The one question asked everywhere: may this actor do this, and what may it see?

Apps declare their permissions in `permissions.py`; `accounts` fills the port. Nothing else decides.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from core.actor import Actor
from core.errors import Forbidden, NotFound

_M = TypeVar("_M", bound=Model)


class Role(StrEnum):
    """What a member is to an organisation; each includes what stands below it, save the billing manager's."""

    OWNER = "owner"
    ADMIN = "admin"
    BILLING_MANAGER = "billing_manager"
    MEMBER = "member"
    VIEWER = "viewer"


ADMINS = frozenset({Role.OWNER, Role.ADMIN})
BILLING = frozenset({Role.OWNER, Role.ADMIN, Role.BILLING_MANAGER})

permissions: dict[str, Permission] = {}


@dataclass(frozen=True, slots=True)
class Permission:
    """Something that may be done: `app.object.verb`. Who may is said by the relation of that name in `<app>/model.fga`.
    An API key needs the scope `app.object.verb` or `app.object.*` or `app.*`."""

    name: str
    text: str

    def __post_init__(self) -> None:
        assert permissions.get(self.name, self) == self, f"permission {self.name} is declared twice"
        permissions[self.name] = self


@dataclass(frozen=True, slots=True)
class Reach:
    """Where an actor holds a permission: in these organisations, or everywhere (None), also where there is none; and on
    these `rows`, which were shared with them, wherever they belong."""

    organizations: frozenset[UUID] | None
    rows: frozenset[UUID] = frozenset()

    @property
    def is_everything(self) -> bool:
        return self.organizations is None


@dataclass(frozen=True, slots=True)
class Holders:
    """Who may hold a permission: roles of the organisation, its API keys by a scope, staff."""

    roles: frozenset[Role]
    is_for_keys: bool
    is_for_staff: bool


EVERYTHING = Reach(None)
NOTHING = Reach(frozenset())


class Policy(Protocol):
    """The port. `obj` may be None for what concerns no object yet (then the context's organisation decides)."""

    def allows(self, actor: Actor, permission: Permission, obj: Any) -> bool: ...

    def sees(self, actor: Actor, obj: Model) -> bool: ...

    def visible(self, actor: Actor, queryset: QuerySet[_M]) -> QuerySet[_M]: ...

    def related(self, actor: Actor, queryset: QuerySet[_M], relation: str) -> QuerySet[_M]: ...

    def reach(self, actor: Actor, permissions: Collection[Permission]) -> dict[str, Reach]: ...

    def holders(self, permission: Permission) -> Holders: ...


_policy: Policy | None = None


def use_policy(policy: Policy) -> None:
    """Fill the port; called once, by `accounts`, when the apps are ready."""
    global _policy
    _policy = policy


def policy() -> Policy:
    assert _policy is not None, "no access policy: accounts must be among INSTALLED_APPS"
    return _policy


def allows(actor: Actor, permission: str, obj: Any = None) -> bool:
    """Whether `actor` holds `permission` on `obj`. The system may do everything."""
    return actor.is_system or policy().allows(actor, permissions[permission], obj)


def require(actor: Actor, permission: str, obj: Any = None) -> None:
    """Raise `Forbidden` when the actor may not, `NotFound` when it may not even see `obj`."""
    if allows(actor, permission, obj):
        return
    if isinstance(obj, Model) and not policy().sees(actor, obj):
        raise NotFound(f"There is no such {obj._meta.verbose_name}, or you may not see it.")
    raise Forbidden(f"You need the permission '{permission}' for this.", permission=permission)


def visible(actor: Actor, queryset: QuerySet[_M]) -> QuerySet[_M]:
    """Return of `queryset` what the actor may see."""
    return queryset if actor.is_system else policy().visible(actor, queryset)


def sees(actor: Actor, obj: Model) -> bool:
    """Whether the actor may see `obj`; of one that is not saved yet: for staff, whether they see such things at all."""
    return actor.is_system or policy().sees(actor, obj)


def related(actor: Actor, queryset: QuerySet[_M], relation: str) -> QuerySet[_M]:
    """Return of `queryset` the rows to which `actor` has `relation` (`viewer`), as the permission model says it: two
    queries at most, a page of them among these. Raises `LookupError` for rows of which the model has no such
    relation, or one by which they cannot be listed (`and` or `but not` over what comes from their organisation)."""
    return queryset if actor.is_system else policy().related(actor, queryset, relation)


def reach(actor: Actor, names: Collection[str]) -> dict[str, Reach]:
    """Return where `actor` holds each of the named permissions: for what is found outside of the tables (an index), and
    must be bounded as `visible` bounds rows. One query at most, however many permissions."""
    if actor.is_system:
        return dict.fromkeys(names, EVERYTHING)
    return policy().reach(actor, [permissions[name] for name in names])


def holders(name: str) -> Holders:
    """Return who may hold a permission, as the model says it."""
    return policy().holders(permissions[name])
