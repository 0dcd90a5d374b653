"""Who belongs where, as what. Authentication has read it by the time a rule asks: remembered for the request."""

from __future__ import annotations

from contextvars import ContextVar
from uuid import UUID

from accounts.models import Membership
from core import context
from core.access import Role

_known: ContextVar[tuple[str, UUID, dict[UUID, Role]] | None] = ContextVar("countinghouse_roles", default=None)


def remember(user_id: UUID, roles: dict[UUID, Role]) -> None:
    """Keep the roles of who asks, for the present request only."""
    _known.set((context.current().request_id, user_id, roles))


def forget() -> None:
    """Ask PostgreSQL from now on: somebody's roles are being changed."""
    _known.set(None)


def role_in(user_id: UUID, organization_id: UUID) -> Role | None:
    """Return the person's role in one organisation, None when they are no member."""
    known = _known.get()
    if known is not None and known[0] == context.current().request_id and known[1] == user_id:
        return known[2].get(organization_id)
    found = Membership.objects.filter(user_id=user_id, organization_id=organization_id).values_list("role", flat=True)
    role = found.first()
    return Role(role) if role is not None else None


def known_organizations(user_id: UUID) -> list[UUID] | None:
    """Return the organisations of who asks when this request knows them, None when PostgreSQL must be asked."""
    known = _known.get()
    if known is not None and known[0] == context.current().request_id and known[1] == user_id:
        return list(known[2])
    return None


def roles_of(user_id: UUID) -> dict[UUID, Role]:
    """Return what the person is in each of their organisations."""
    known = _known.get()
    if known is not None and known[0] == context.current().request_id and known[1] == user_id:
        return dict(known[2])
    rows = Membership.objects.filter(user_id=user_id).values_list("organization_id", "role")
    return {organization_id: Role(role) for organization_id, role in rows}
