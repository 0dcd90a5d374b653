"""Who belongs where, as what. Asked on each request, so the answer is kept on the context's request."""

from __future__ import annotations

from uuid import UUID

from accounts.models import Membership
from core.access import Role


def roles_of(user_id: UUID) -> dict[UUID, Role]:
    """Return the role of the person in each of their organisations, by organisation id (one query)."""
    return {
        organization_id: Role(role)
        for organization_id, role in Membership.objects.filter(user_id=user_id).values_list("organization_id", "role")
    }


def role_in(user_id: UUID, organization_id: UUID) -> Role | None:
    """Return the person's role in one organisation, None when they are no member."""
    role = Membership.objects.filter(user_id=user_id, organization_id=organization_id).values_list("role", flat=True)
    return Role(role[0]) if role else None
