"""What can be found of people and organisations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from accounts.models import Organization, User
from accounts.permissions import ORGANIZATION_VIEW, USER_VIEW
from search.documents import Document, DocumentType, in_key_order, register


def _organizations(ids: Sequence[UUID]) -> Iterator[Document]:
    for organization in Organization.objects.filter(pk__in=ids):
        since = organization.created_at.date().isoformat()
        yield Document(
            id=organization.pk,
            title=organization.name,
            subtitle=organization.slug,
            body=f"Organisation {organization.name}, here since {since}.",
            keys=_given(organization.public_id, organization.slug, organization.billing_email),
            organization_id=organization.pk,
            version=organization.version,
            url=f"/api/v1/organizations/{organization.public_id}",
        )


def _people(ids: Sequence[UUID]) -> Iterator[Document]:
    """For staff alone: a person may belong to several organisations, and none of them owns them."""
    for user in User.objects.filter(pk__in=ids):
        yield Document(
            id=user.pk,
            title=user.get_full_name(),
            subtitle=user.email if user.name else "",
            keys=_given(user.public_id, user.email),
            facets={"status": "active" if user.is_active else "inactive"},
            organization_id=None,
            version=user.version,
        )


def _given(*keys: str) -> tuple[str, ...]:
    return tuple(key for key in keys if key)


register(
    DocumentType(
        name="organization",
        label="Organisations",
        icon="domain",
        permission=ORGANIZATION_VIEW.name,
        model=Organization,
        events=("accounts.organization.",),
        build=_organizations,
        ids=in_key_order(Organization),
        order=50,
    )
)
register(
    DocumentType(
        name="user",
        label="People",
        icon="person",
        permission=USER_VIEW.name,
        model=User,
        events=("accounts.user.",),
        build=_people,
        ids=in_key_order(User),
        order=60,
    )
)
