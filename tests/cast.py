"""The cast: people with a meaning, the same in every test.

* `owner` owns `organization`; `team_mate` is a plain member of it.
* `stranger` owns the organisation next door, `other_organization`, and must never see anything of ours.
* `staff` is one of the company's own people.

`api(person)` is a client with a bearer token that the product itself issued; `api()` is nobody.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.actors import actor_of_user
from accounts.models import ApiKey, Organization, User
from accounts.services import memberships, organizations, users
from core.access import Role
from core.actor import SYSTEM, Actor, ActorType

PASSWORD = "correct horse battery staple"


class Api(APIClient):
    """A client that speaks JSON and carries the tokens of one person."""

    default_format = "json"
    access_token = ""
    refresh_token = ""

    def sign_in(self, email: str, password: str = PASSWORD) -> Api:
        reply = self.post("/api/v1/auth/login", {"email": email, "password": password})
        assert reply.status_code == 200, reply.content
        return self.carry(**{name: reply.json()[name] for name in ("access_token", "refresh_token")})

    def carry(self, access_token: str, refresh_token: str = "") -> Api:
        self.access_token, self.refresh_token = access_token, refresh_token
        self.credentials(HTTP_AUTHORIZATION=f"Bearer {access_token}")
        return self


def new_person(email: str, *, is_staff: bool = False, name: str = "") -> User:
    """Enter a person whose address is proven and whose password is `PASSWORD`."""
    return users.create(actor=SYSTEM, email=email, password=PASSWORD, name=name, is_staff=is_staff)


def key_actor(organization: Organization, *scopes: str) -> Actor:
    """As whom a program acts whose key has these scopes: those of its row."""
    key = ApiKey.objects.create(
        organization=organization, name="robot", lookup=secrets.token_hex(6), secret_hash=b"", scopes=list(scopes)
    )
    return Actor(ActorType.API_KEY, id=key.pk, organization_id=organization.pk, scopes=frozenset(scopes))


@pytest.fixture
def owner(db: None) -> User:
    return new_person("olga@example.com", name="Olga Owner")


@pytest.fixture
def team_mate(organization: Organization) -> User:
    person = new_person("tom@example.com", name="Tom Mate")
    memberships.create(actor=SYSTEM, organization=organization, user=person, role=Role.MEMBER)
    return person


@pytest.fixture
def stranger(other_organization: Organization) -> User:
    return User.objects.get(memberships__organization=other_organization)


@pytest.fixture
def staff(db: None) -> User:
    return new_person("stella@countinghouse.example", is_staff=True, name="Stella Staff")


@pytest.fixture
def organization(owner: User) -> Organization:
    return organizations.create(actor=actor_of_user(owner), name="Acme", billing_email="billing@acme.example")


@pytest.fixture
def other_organization(db: None) -> Organization:
    person = new_person("sam@elsewhere.example", name="Sam Stranger")
    return organizations.create(actor=actor_of_user(person), name="Next Door")


@pytest.fixture
def actor_of() -> Callable[[User], Actor]:
    return actor_of_user


@pytest.fixture
def api() -> Callable[..., Api]:
    """`api(person)` signs in through the product; `api()` is nobody."""

    def client(person: User | None = None, **options: Any) -> Api:
        fresh = Api(**options)
        return fresh.sign_in(person.email) if person is not None else fresh

    return client
