"""Organisations: making them and changing what they are called."""

from __future__ import annotations

import secrets

from django.utils.text import slugify

from accounts import events
from accounts.models import Membership, Organization, User
from accounts.services import sessions
from audit import record
from core.access import Role, require
from core.actor import Actor, ActorType
from core.commands import command
from core.errors import Forbidden


@command("accounts.organization.create")
def create(*, actor: Actor, name: str, billing_email: str = "", owner: User | None = None) -> Organization:
    """Make an organisation; `owner` (a person who asks: they themselves) becomes its first owner. Writes
    `accounts.organization.created` and `accounts.membership.created`. Raises `Forbidden` for API keys."""
    if actor.type is ActorType.USER and actor.id is not None:
        owner = User.objects.get(pk=actor.id)
    elif not (actor.is_staff or actor.is_system):
        raise Forbidden("Only people make organisations.")
    organization = Organization.objects.create(name=name, slug=_free_slug(name), billing_email=billing_email)
    record(
        events.ORGANIZATION_CREATED,
        actor=actor,
        subject=organization,
        after={"name": name, "slug": organization.slug, "billing_email": billing_email},
    )
    if owner is not None:
        member = Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
        sessions.doubt_sessions_of(owner.pk)
        record(
            events.MEMBERSHIP_CREATED,
            actor=actor,
            subject=member,
            after={"user_id": str(owner.pk), "role": str(Role.OWNER)},
        )
    return organization


@command("accounts.organization.update")
def update(
    *, actor: Actor, organization: Organization, name: str | None = None, billing_email: str | None = None
) -> Organization:
    """Change an organisation's name and billing address; what is None stays. Writes `accounts.organization.updated`
    when something changed."""
    require(actor, "accounts.organization.edit", organization)
    organization = organization.refreshed_for_update()
    wanted = {"name": name, "billing_email": billing_email}
    changes = {key: value for key, value in wanted.items() if value is not None and value != getattr(organization, key)}
    if changes:
        before = {key: getattr(organization, key) for key in changes}
        for key, value in changes.items():
            setattr(organization, key, value)
        organization.save(update_fields=list(changes))
        record(events.ORGANIZATION_UPDATED, actor=actor, subject=organization, before=before, after=changes)
    return organization


def _free_slug(name: str) -> str:
    """Return a slug for `name` that nobody has; a taken or empty one gets four random letters."""
    base = slugify(name)[:70] or "organization"
    slug = base
    while Organization.objects.filter(slug=slug).exists():
        slug = f"{base}-{secrets.token_hex(4)}"
    return slug
