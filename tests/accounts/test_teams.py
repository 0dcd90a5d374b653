"""Teams of an organisation: who may make them, who may belong to them, and what becomes of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from accounts.actors import actor_of_user
from accounts.models import Membership, Organization, RelationTuple, Team, TeamMember, User
from accounts.services import memberships, teams
from audit.models import Event
from core.actor import SYSTEM
from core.errors import InvalidInput, NotFound

pytestmark = pytest.mark.django_db


def at(organization: Organization) -> str:
    return f"/api/v1/organizations/{organization.public_id}/teams"


def of(team: Team, *rest: str) -> str:
    return "/".join([f"/api/v1/teams/{team.public_id}", *rest])


def tuples() -> set[str]:
    return {str(one) for one in RelationTuple.objects.filter(object_type="team")}


@pytest.fixture
def team(organization: Organization, owner: User) -> Team:
    return teams.create(actor=actor_of_user(owner), organization=organization, name="Support")


@pytest.fixture
def member(team: Team, owner: User, team_mate: User) -> TeamMember:
    return teams.add_member(actor=actor_of_user(owner), team=team, member=team_mate)[0]


def test_is_made_renamed_filled_and_deleted_by_an_admin(api, owner, team_mate, organization):
    client = api(owner)
    made = client.post(at(organization), {"name": "Support"})
    assert (made.status_code, made.json()["name"]) == (201, "Support")
    path = f"/api/v1/teams/{made.json()['id']}"
    assert client.patch(path, {"name": "Help desk"}, headers={"If-Match": made["ETag"]}).status_code == 200
    added = client.post(f"{path}/members", {"member_id": team_mate.public_id})
    assert added.status_code == 201
    assert added.json() | {"user_id": team_mate.public_id, "service_account_id": None} == added.json()
    assert (added.json()["email"], added.json()["name"]) == (team_mate.email, team_mate.name)
    assert [row["id"] for row in client.get(f"{path}/members").json()["data"]] == [added.json()["id"]]
    assert client.get(f"{path}/members/{added.json()['id']}").json() == added.json()
    assert [row["name"] for row in client.get(at(organization)).json()["data"]] == ["Help desk"]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert tuples() == set()
    written = list(Event.objects.filter(type__startswith="accounts.team").order_by("id").values_list("type", flat=True))
    assert [name.removeprefix("accounts.") for name in written] == [
        "team.created", "team.renamed", "team_member.added", "team.deleted",
    ]  # fmt: skip


def test_gives_its_members_a_tuple_each_in_the_same_transaction(team, member, team_mate):
    assert tuples() == {f"team:{team.pk}#member@user:{team_mate.pk}"}
    teams.remove_member(actor=SYSTEM, member=member)
    assert tuples() == set()


def test_takes_a_member_that_it_has_as_done(api, owner, team, member, team_mate):
    again = api(owner).post(of(team, "members"), {"member_id": team_mate.public_id})
    assert (again.status_code, again.json()["id"]) == (200, member.public_id)
    assert Event.objects.filter(type="accounts.team_member.added").count() == 1


@pytest.mark.django_db(transaction=True)
def test_has_one_row_when_two_add_the_same_at_once(team, team_mate):
    def add(_: int) -> bool:
        try:
            return teams.add_member(actor=SYSTEM, team=team, member=team_mate)[1]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(add, range(4))) == [False, False, False, True]
    assert len(tuples()) == TeamMember.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["deletes the team", "removes the member"])
def test_never_keeps_a_member_of_what_is_gone(team, team_mate, what):
    def run(first: bool) -> None:
        try:
            if first:
                teams.add_member(actor=SYSTEM, team=team, member=team_mate)
            elif what == "deletes the team":
                teams.delete(actor=SYSTEM, team=team)
            else:
                memberships.remove(actor=SYSTEM, membership=Membership.objects.get(user=team_mate))
        except (InvalidInput, NotFound):
            pass  # somebody else was faster
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, [True, False]))
    assert TeamMember.objects.count() == len(tuples()) == 0


def test_is_left_by_whoever_leaves_the_organisation(organization, team, member, team_mate, owner):
    other = teams.create(actor=SYSTEM, organization=organization, name="Sales")
    teams.add_member(actor=SYSTEM, team=other, member=team_mate)
    teams.add_member(actor=SYSTEM, team=other, member=owner)
    memberships.remove(actor=actor_of_user(team_mate), membership=Membership.objects.get(user=team_mate))
    assert tuples() == {f"team:{other.pk}#member@user:{owner.pk}"}
    removed = Event.objects.filter(type="accounts.team_member.removed")
    gone = Event.objects.get(type="accounts.membership.removed")
    assert {event.command_id for event in removed} == {gone.command_id}
    assert removed.count() == 2


def test_is_seen_and_left_but_not_changed_by_a_plain_member(api, team, member, team_mate, owner, organization):
    client = api(team_mate)
    assert client.get(of(team)).status_code == 200
    boss = teams.add_member(actor=SYSTEM, team=team, member=owner)[0]
    for reply in (
        client.post(at(organization), {"name": "Mine"}),
        client.patch(of(team), {"name": "Mine"}),
        client.delete(of(team)),
        client.post(of(team, "members"), {"member_id": team_mate.public_id}),
        client.delete(of(team, "members", boss.public_id)),
    ):
        assert (reply.status_code, reply.json()["permission"]) == (403, "accounts.team.manage")
    assert client.delete(of(team, "members", member.public_id)).status_code == 204


def test_is_not_there_for_the_stranger_next_door(api, stranger, team, member, organization, team_mate):
    client = api(stranger)
    for reply in (
        client.get(at(organization)),
        client.post(at(organization), {"name": "Mine"}),
        client.get(of(team)),
        client.patch(of(team), {"name": "Mine"}),
        client.delete(of(team)),
        client.get(of(team, "members")),
        client.post(of(team, "members"), {"member_id": team_mate.public_id}),
        client.delete(of(team, "members", member.public_id)),
    ):
        assert reply.status_code == 404


@pytest.mark.parametrize("whom", ["stranger", "nobody", "a team", "no id", "null"])
def test_refuses_whoever_is_not_of_the_organisation(api, owner, team, stranger, whom):
    named: Any = {
        "stranger": stranger.public_id,
        "nobody": "usr_01h455vb4pex5vsknk084sn02q",
        "a team": team.public_id,
        "no id": "olga@example.com",
        "null": None,
    }[whom]
    reply = api(owner).post(of(team, "members"), {"member_id": named})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/member_id")
    assert TeamMember.objects.count() == 0


def test_has_a_name_of_its_own_in_the_organisation(api, owner, team, organization, other_organization):
    client = api(owner)
    taken = client.post(at(organization), {"name": "SUPPORT"})
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    assert client.patch(of(team), {"name": "SUPPORT"}).status_code == 200
    assert client.post(at(organization), {"name": "  "}).json()["errors"][0]["pointer"] == "/name"
    assert teams.create(actor=SYSTEM, organization=other_organization, name="Support").pk
    second = teams.create(actor=SYSTEM, organization=organization, name="Second")
    assert client.patch(of(second), {"name": "support"}).json()["code"] == "name_taken"
