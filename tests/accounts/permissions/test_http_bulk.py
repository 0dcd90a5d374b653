"""Many members granted a role or revoked it in one request: each answered for themselves, or, strictly, all or none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connections

from accounts.actors import actor_of_user
from accounts.models import Membership, Organization, User
from accounts.services import memberships
from accounts.services.bulk_memberships import Direction, change_many
from audit.models import Event
from core import ids
from core.access import Role
from core.actor import SYSTEM
from core.ids import new_id
from tests.accounts.permissions.over_http import PERMISSIONS, pointers
from tests.cast import new_person
from tests.meta.company import key_of, with_role

pytestmark = pytest.mark.django_db


def bulk(client: Any, organization: Organization, operation: str, users: list[Any], **rest: Any) -> Any:
    path = f"{PERMISSIONS}/organizations/{organization.public_id}/users/bulk"
    named = [user.public_id if isinstance(user, User) else user for user in users]
    return client.post(path, {"operation": operation, "users": named, **rest})


def results(reply: Any) -> list[str]:
    assert reply.status_code == 200, reply.content
    return [answer["result"] for answer in reply.json()["results"]]


def people(number: int) -> list[User]:
    rows = [User(email=f"p{each}@crowd.example", is_active=True) for each in range(number)]
    return User.objects.bulk_create(rows)


def roles(organization: Organization) -> dict[str, str]:
    return dict(Membership.objects.filter(organization=organization).values_list("user__email", "role"))


# what becomes of each


def test_answers_for_each_in_the_order_of_the_request(api: Any, owner: Any, organization: Any, team_mate: Any) -> None:
    new, viewer = new_person("new@example.com"), with_role(organization, Role.VIEWER)
    nobody = ids.encode("usr", new_id())
    asked = [viewer, new, "NEW@example.com", team_mate.email, nobody, "who@example.com", "nonsense", ""]
    reply = bulk(api(owner), organization, "grant", asked, role="viewer")
    assert results(reply) == ["unchanged", "created", "unchanged", "created", *["unknown_user"] * 4]
    first, second, _, fourth, *_ = reply.json()["results"]
    assert (first["previous_role"], first["role"]) == ("viewer", "viewer")
    assert (second["user_id"], second["previous_role"], second["role"]) == (new.public_id, None, "viewer")
    assert (fourth["user"], fourth["previous_role"], fourth["role"]) == (team_mate.email, "member", "viewer")
    assert roles(organization)[new.email] == roles(organization)[team_mate.email] == "viewer"


def test_revokes_a_role_or_any_role(api: Any, owner: Any, organization: Any, team_mate: Any, stranger: Any) -> None:
    viewer, client = with_role(organization, Role.VIEWER), api(owner)
    asked = [team_mate, viewer, viewer, stranger, "who@example.com"]
    assert results(bulk(client, organization, "revoke", asked, role="viewer")) == [
        "not_member", "removed", "unchanged", "not_member", "unknown_user",
    ]  # fmt: skip
    assert results(bulk(client, organization, "revoke", [team_mate, viewer])) == ["removed", "not_member"]
    assert list(roles(organization).values()) == ["owner"]
    assert Membership.objects.filter(user=stranger).exists()


def test_keeps_an_owner_and_says_so(api: Any, owner: Any, organization: Any, team_mate: Any) -> None:
    second, client = with_role(organization, Role.OWNER), api(owner)
    reply = bulk(client, organization, "revoke", [team_mate, second, owner])
    assert results(reply) == ["removed", "removed", "rejected"]
    assert (reply.json()["results"][2]["reason"], reply.json()["results"][2]["role"]) == ("last_owner", "owner")
    assert results(bulk(client, organization, "grant", [owner], role="viewer")) == ["rejected"]
    assert roles(organization) == {owner.email: "owner"}


def test_lets_only_owners_make_owners_and_unmake_them(api: Any, owner: Any, organization: Any, team_mate: Any) -> None:
    client = api(with_role(organization, Role.ADMIN))
    promoted = bulk(client, organization, "grant", [team_mate], role="owner")
    demoted = bulk(client, organization, "grant", [team_mate, owner], role="admin")
    assert (results(promoted), results(demoted)) == (["rejected"], ["created", "rejected"])
    assert {answer.json()["results"][-1]["reason"] for answer in (promoted, demoted)} == {"owners_only"}
    assert roles(organization)[owner.email] == "owner"
    assert results(bulk(api(owner), organization, "grant", [team_mate], role="owner")) == ["created"]


def test_grants_nothing_to_a_person_who_is_deactivated(api: Any, owner: Any, organization: Any) -> None:
    gone = new_person("gone@example.com")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    assert results(bulk(api(owner), organization, "grant", [gone], role="viewer")) == ["unknown_user"]
    memberships.create(actor=SYSTEM, organization=organization, user=gone, role=Role.VIEWER)
    assert results(bulk(api(owner), organization, "revoke", [gone])) == ["removed"]


def test_is_followed_by_events_and_sessions_as_a_single_change_is(
    api: Any, owner: Any, organization: Any, team_mate: Any
) -> None:
    new, mate = new_person("new@example.com"), api(team_mate)
    assert mate.get(f"/api/v1/organizations/{organization.public_id}").status_code == 200
    bulk(api(owner), organization, "grant", [new, team_mate], role="viewer")
    bulk(api(owner), organization, "revoke", [team_mate])
    found = Event.objects.filter(type__startswith="accounts.membership.", actor_id=owner.pk).order_by("id")
    assert [event.type.rpartition(".")[2] for event in found] == ["created", "created", "role_changed", "removed"]
    assert len({event.command_id for event in found}) == 3  # founding, granting, revoking
    assert mate.get(f"/api/v1/organizations/{organization.public_id}").status_code == 404


# strict


def test_names_all_who_stand_in_the_way_and_changes_nobody_when_strict(
    api: Any, owner: Any, organization: Any, team_mate: Any
) -> None:
    new, before = new_person("new@example.com"), roles(organization)
    asked = [new, team_mate, "who@example.com", new, owner, "nonsense"]
    reply = bulk(api(owner), organization, "grant", asked, role="member", is_strict=True)
    assert (reply.status_code, reply.json()["code"]) == (409, "not_every_member_changed")
    assert pointers(reply) == ["/users/1", "/users/2", "/users/3", "/users/4", "/users/5"]
    codes = [fault["code"] for fault in reply.json()["errors"]]
    assert codes == ["unchanged", "unknown_user", "unchanged", "last_owner", "unknown_user"]
    assert "who@example.com" in reply.json()["errors"][1]["detail"]
    assert roles(organization) == before
    revoked = bulk(api(owner), organization, "revoke", [team_mate, new], is_strict=True)
    assert (revoked.status_code, [fault["code"] for fault in revoked.json()["errors"]]) == (409, ["not_member"])
    assert roles(organization) == before
    refused = Event.objects.filter(type="core.command.refused")
    assert [event.data["command"] for event in refused] == ["accounts.membership.change_many"] * 2


def test_changes_everybody_when_strict_and_nobody_stands_in_the_way(
    api: Any, owner: Any, organization: Any, team_mate: Any
) -> None:
    new = new_person("new@example.com")
    reply = bulk(api(owner), organization, "grant", [new, team_mate], role="viewer", is_strict=True)
    assert results(reply) == ["created", "created"]


# who, and what cannot be


def test_is_for_administrators_of_the_organisation_and_staff(
    api: Any, owner: Any, organization: Any, team_mate: Any, stranger: Any, staff: Any
) -> None:
    new = new_person("new@example.com")

    def status(client: Any) -> int:
        return int(bulk(client, organization, "grant", [new], role="viewer").status_code)

    assert status(api()) == 401
    assert status(api(stranger)) == 404
    assert [status(api(who)) for who in (team_mate, with_role(organization, Role.BILLING_MANAGER))] == [403, 403]
    assert new.email not in roles(organization)
    assert [status(api(who)) for who in (with_role(organization, Role.ADMIN), staff, owner)] == [200, 200, 200]
    key = key_of(organization, owner, "accounts.membership.*")[1]
    assert status(api().carry(key)) == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/operation"), ({"operation": "give"}, "/operation"), ({"users": None}, "/users"),
        ({"users": []}, "/users"),
        ({"users": "ann"}, "/users"), ({"users": {}}, "/users"), ({"users": [3]}, "/users/0"),
        ({"users": [None]}, "/users/0"), ({"users": ["x"] * 501}, "/users"), ({"role": "king"}, "/role"),
        ({"role": None}, "/role"), ({"users": ["x" * 255]}, "/users/0"), ({"is_strict": 1}, "/is_strict"),
        ({"more": 1}, "/more"),
    ],
)  # fmt: skip
def test_points_at_what_is_wrong(api: Any, owner: Any, organization: Any, body: dict[str, Any], pointer: str) -> None:
    path = f"{PERMISSIONS}/organizations/{organization.public_id}/users/bulk"
    whole = {"operation": "grant", "role": "viewer", "users": ["a@example.com"], **body} if body else {}
    reply = api(owner).post(path, whole)
    assert reply.status_code == 400
    assert pointer in pointers(reply)


def test_needs_a_role_to_grant(api: Any, owner: Any, organization: Any) -> None:
    reply = bulk(api(owner), organization, "grant", ["a@example.com"])
    assert (reply.status_code, pointers(reply)) == (400, ["/role"])


# several at once, and many


@pytest.mark.django_db(transaction=True)
def test_lets_two_requests_at_once_come_one_after_the_other(owner: Any, organization: Any) -> None:
    crowd, actor = people(30), actor_of_user(owner)
    barrier = Barrier(4)

    def ask(number: int) -> list[str]:
        named = [person.public_id for person in (crowd if number % 2 else reversed(crowd))]
        try:
            barrier.wait(10)
            answers = change_many(
                actor=actor, organization=organization, direction=Direction.GRANT, users=named, role=Role.MEMBER
            )
            return [str(answer.result) for answer in answers]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(ask, range(4)))
    assert told == [["created"] * 30, *[["unchanged"] * 30] * 3]
    assert Membership.objects.filter(organization=organization).count() == 31


@pytest.mark.django_db(transaction=True)
def test_lets_a_grant_and_a_revocation_at_once_end_in_one_of_the_two_orders(owner: Any, organization: Any) -> None:
    crowd, actor = people(20), actor_of_user(owner)
    for person in crowd:
        memberships.create(actor=actor, organization=organization, user=person, role=Role.VIEWER)
    barrier = Barrier(2)

    def ask(direction: Direction) -> list[str]:
        role = Role.ADMIN if direction is Direction.GRANT else None
        named = [person.email for person in (crowd if role else reversed(crowd))]
        try:
            barrier.wait(10)
            answers = change_many(actor=actor, organization=organization, direction=direction, users=named, role=role)
            return [str(answer.result) for answer in answers]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        granted, revoked = pool.map(ask, (Direction.GRANT, Direction.REVOKE))
    assert (granted, revoked) == (["created"] * 20, ["removed"] * 20)
    assert Membership.objects.filter(organization=organization).count() in (1, 21)


def test_takes_five_hundred_people_in_one_request(api: Any, owner: Any, organization: Any) -> None:
    reply = bulk(api(owner), organization, "grant", people(500), role="viewer")
    assert results(reply) == ["created"] * 500
