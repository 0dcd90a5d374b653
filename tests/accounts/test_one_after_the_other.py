"""What is given or taken in one organisation is given one after the other: each such command locks its row first."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.actors import actor_of_user
from accounts.models import Invitation, Membership, Organization, User
from accounts.providers import tokens
from accounts.services import (
    api_keys,
    bulk_memberships,
    custom_roles,
    invitations,
    memberships,
    service_accounts,
    teams,
)
from core.access import Role
from core.actor import Actor
from core.clock import now

pytestmark = pytest.mark.django_db

_SCOPES = ["billing.invoice.view"]


def _member(organization: Organization, person: User) -> Membership:
    return Membership.objects.get(organization=organization, user=person)


def _joins(actor: Actor, organization: Organization, person: User) -> None:
    memberships.create(actor=actor, organization=organization, user=person, role=Role.VIEWER)


def _is_invited(actor: Actor, organization: Organization, person: User) -> None:
    invitations.create(actor=actor, organization=organization, email=person.email, role=Role.VIEWER, now=now())


def _accepts(actor: Actor, organization: Organization, person: User) -> None:
    Invitation.objects.filter(email=person.email).update(token_hash=tokens.hash_of("secret"))
    invitations.accept(actor=actor_of_user(person), token="secret", now=now())


def _are_granted(actor: Actor, organization: Organization, person: User) -> None:
    bulk_memberships.change_many(
        actor=actor,
        organization=organization,
        direction=bulk_memberships.Direction.GRANT,
        role=Role.MEMBER,
        users=[person.email],
    )


def _has_a_role(actor: Actor, organization: Organization, person: User) -> None:
    memberships.change_role(actor=actor, membership=_member(organization, person), role=Role.ADMIN)


def _leaves(actor: Actor, organization: Organization, person: User) -> None:
    memberships.remove(actor=actor, membership=_member(organization, person))


def _makes_a_role(actor: Actor, organization: Organization, person: User) -> None:
    custom_roles.create(actor=actor, organization=organization, name="Reader", permissions=_SCOPES)


def _makes_a_team(actor: Actor, organization: Organization, person: User) -> None:
    teams.create(actor=actor, organization=organization, name="Support")


def _makes_a_key(actor: Actor, organization: Organization, person: User) -> None:
    key, _ = api_keys.create(actor=actor, organization=organization, name="Key", scopes=_SCOPES, now=now())
    api_keys.rotate(actor=actor, api_key=key, now=now())


def _makes_a_program(actor: Actor, organization: Organization, person: User) -> None:
    service_accounts.create(actor=actor, organization=organization, name="Importer", role="viewer")


def _wakes_a_program(actor: Actor, organization: Organization, person: User) -> None:
    account = organization.service_accounts.get()
    service_accounts.deactivate(actor=actor, account=account, now=now())
    service_accounts.reactivate(actor=actor, account=account, now=now())


# In the order of a life, each with how often it gives or takes.
_IN_ORDER: list[tuple[Callable[[Actor, Organization, User], None], int]] = [
    (_joins, 1),
    (_has_a_role, 1),
    (_leaves, 1),
    (_is_invited, 1),
    (_accepts, 1),
    (_are_granted, 1),
    (_makes_a_role, 1),
    (_makes_a_team, 1),
    (_makes_a_key, 2),
    (_makes_a_program, 1),
    (_wakes_a_program, 2),
]


def test_waits_for_the_row_of_the_organisation(organization: Organization, owner: User, stranger: User) -> None:
    actor = actor_of_user(owner)
    for does, times in _IN_ORDER:
        with CaptureQueriesContext(connection) as ran:
            does(actor, organization, stranger)
        statements = [query["sql"] for query in ran]
        locks = [sql.partition(" FOR ")[2] for sql in statements if 'FROM "accounts_organization"' in sql]
        assert list(filter(None, locks)) == ['NO KEY UPDATE OF "accounts_organization"'] * times, does.__name__
