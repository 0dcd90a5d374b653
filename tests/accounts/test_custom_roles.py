"""Roles of an organisation's own making: of what, by whom, for whom; and that nobody gives what they do not hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from accounts.actors import actor_of_user
from accounts.errors import PermissionNotHeld
from accounts.models import CustomRole, Membership, Organization, RelationTuple, RoleAssignment, Team, User
from accounts.permissions import asking
from accounts.selectors import holding
from accounts.services import custom_roles, memberships, teams
from audit.models import Event
from core.access import Role
from core.actor import SYSTEM
from tests.cast import key_actor

pytestmark = pytest.mark.django_db
VIEW, MANAGE = "accounts.api_key.view", "accounts.api_key.manage"


def at(organization: Organization) -> str:
    return f"/api/v1/organizations/{organization.public_id}/roles"


def of(role: CustomRole, *rest: str) -> str:
    return "/".join([f"/api/v1/roles/{role.public_id}", *rest])


def tuples() -> set[str]:
    return {str(one) for one in RelationTuple.objects.filter(object_type="role")} | {
        str(one) for one in RelationTuple.objects.filter(subject_type="role")
    }


@pytest.fixture
def role(organization: Organization, owner: User) -> CustomRole:
    return custom_roles.create(
        actor=actor_of_user(owner), organization=organization, name="Keeper", permissions=[MANAGE, VIEW]
    )


@pytest.fixture
def team(organization: Organization) -> Team:
    return teams.create(actor=SYSTEM, organization=organization, name="Support")


def test_is_made_changed_given_taken_and_deleted_by_an_admin(api, owner, team_mate, organization):
    client = api(owner)
    made = client.post(at(organization), {"name": "Keeper", "permissions": [VIEW, MANAGE, VIEW]})
    assert (made.status_code, made.json()["permissions"]) == (201, [MANAGE, VIEW])
    path = f"/api/v1/roles/{made.json()['id']}"
    changed = client.patch(path, {"permissions": [VIEW], "description": "Looks after keys"})
    assert changed.json() | {"permissions": [VIEW], "description": "Looks after keys"} == changed.json()
    assert client.patch(path, {}).json()["permissions"] == [VIEW]
    given = client.post(f"{path}/assignees", {"assignee_id": team_mate.public_id})
    assert (given.status_code, given.json()["email"]) == (201, team_mate.email)
    again = client.post(f"{path}/assignees", {"assignee_id": team_mate.public_id})
    assert (again.status_code, again.json()["id"]) == (200, given.json()["id"])
    assert client.get(f"{path}/assignees").json()["data"] == [given.json()]
    assert client.delete(f"{path}/assignees/{given.json()['id']}").status_code == 204
    assert [one["name"] for one in client.get(at(organization)).json()["data"]] == ["Keeper"]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert tuples() == set()
    written = Event.objects.filter(type__regex="custom_role|role_assign").order_by("id").values_list("type", flat=True)
    assert [name.removeprefix("accounts.") for name in written] == [
        "custom_role.created", "custom_role.updated", "role_assignment.created", "role_assignment.removed",
        "custom_role.deleted",
    ]  # fmt: skip


def test_is_tuples_of_its_permissions_and_of_who_holds_it(role, team, team_mate, organization):
    where = f"organization:{organization.pk}"
    own = {f"{where}#{name}@role:{role.pk}#assignee" for name in (VIEW, MANAGE)}
    assert tuples() == own
    custom_roles.assign(actor=SYSTEM, role=role, recipient=team_mate)
    custom_roles.assign(actor=SYSTEM, role=role, recipient=team)
    held = {f"role:{role.pk}#assignee@user:{team_mate.pk}", f"role:{role.pk}#assignee@team:{team.pk}#member"}
    assert tuples() == own | held
    custom_roles.update(actor=SYSTEM, role=role, permissions=[VIEW, "billing.invoice.view"])
    assert f"{where}#{MANAGE}@role:{role.pk}#assignee" not in tuples()
    assert f"{where}#billing.invoice.view@role:{role.pk}#assignee" in tuples()
    teams.delete(actor=SYSTEM, team=team)
    assert not any("team:" in one for one in tuples())
    memberships.remove(actor=SYSTEM, membership=Membership.objects.get(user=team_mate))
    assert not any("user:" in one for one in tuples())
    assert RoleAssignment.objects.count() == 0


@pytest.mark.parametrize(
    "permissions", [[], ["accounts.nothing.here"], ["accounts.user.manage"], ["accounts.ownership.manage"], "x", [1]]
)
def test_has_nothing_but_what_an_administrator_holds(api, owner, organization, permissions):
    reply = api(owner).post(at(organization), {"name": "Keeper", "permissions": permissions})
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["pointer"].startswith("/permissions")


def test_lists_what_it_may_have_with_what_that_means(api, owner, team_mate, organization):
    path = f"/api/v1/organizations/{organization.public_id}/grantable-permissions"
    found = {one["name"]: one for one in api(owner).get(path).json()["data"]}
    assert found[VIEW] == {"name": VIEW, "text": "See API keys (never their secrets).", "is_held": True}
    assert "accounts.ownership.manage" not in found
    assert all(one["is_held"] for one in found.values())
    assert api(team_mate).get(path).status_code == 403


def test_gets_no_permission_that_its_giver_lacks(role, organization, team_mate, team):
    """A key that may manage roles and nothing else cannot give itself, or anybody, more."""
    keeper = key_actor(organization, "accounts.custom_role.*", "accounts.team.*", "accounts.membership.*")
    with pytest.raises(PermissionNotHeld) as refusal:
        custom_roles.create(
            actor=keeper, organization=organization, name="More", permissions=[VIEW, "accounts.team.view"]
        )
    assert refusal.value.extra["permissions"] == [VIEW]
    with pytest.raises(PermissionNotHeld):
        custom_roles.assign(actor=keeper, role=role, recipient=team_mate)
    small = custom_roles.create(
        actor=keeper, organization=organization, name="Small", permissions=["accounts.team.view"]
    )
    with pytest.raises(PermissionNotHeld):
        custom_roles.update(actor=keeper, role=small, permissions=[VIEW])
    assert custom_roles.assign(actor=keeper, role=small, recipient=team_mate)[1]
    custom_roles.update(actor=keeper, role=role, permissions=[VIEW])  # taking is no giving
    custom_roles.assign(actor=SYSTEM, role=role, recipient=team)
    with pytest.raises(PermissionNotHeld):
        teams.add_member(actor=keeper, team=team, member=team_mate)
    member = Membership.objects.get(user=team_mate)
    with pytest.raises(PermissionNotHeld):
        memberships.change_role(actor=keeper, membership=member, role=Role.ADMIN)


def test_is_given_to_nobody_from_outside(api, owner, stranger, role):
    for named in (stranger.public_id, "usr_01h455vb4pex5vsknk084sn02q", "inv_01h455vb4pex5vsknk084sn02q", "x"):
        reply = api(owner).post(of(role, "assignees"), {"assignee_id": named})
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/assignee_id")


def test_is_not_there_for_the_stranger_next_door_and_not_for_plain_members(
    api, stranger, team_mate, role, organization
):
    assignment, _ = custom_roles.assign(actor=SYSTEM, role=role, recipient=team_mate)
    for person, status in ((stranger, 404), (team_mate, 403)):
        client = api(person)
        for reply in (
            client.get(at(organization)),
            client.post(at(organization), {"name": "Mine", "permissions": [VIEW]}),
            client.get(of(role)),
            client.patch(of(role), {"name": "Mine"}),
            client.delete(of(role)),
            client.get(of(role, "assignees")),
            client.post(of(role, "assignees"), {"assignee_id": person.public_id}),
            client.delete(of(role, "assignees", assignment.public_id)),
        ):
            assert reply.status_code == status


@pytest.mark.django_db(transaction=True)
def test_is_held_once_when_two_give_it_at_once(role, team_mate):
    def give(_: int) -> bool:
        try:
            return custom_roles.assign(actor=SYSTEM, role=role, recipient=team_mate)[1]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(give, range(4))) == [False, False, False, True]
    assert RoleAssignment.objects.count() == 1


def test_knows_what_a_role_of_the_house_gives():
    admin, viewer = holding.permissions_of_role(Role.ADMIN), holding.permissions_of_role(Role.VIEWER)
    assert admin == set(holding.grantable())
    assert viewer < admin


# --- what it is for: who may do what ---


@pytest.fixture
def keys(organization: Organization) -> str:
    return f"/api/v1/organizations/{organization.public_id}/api-keys"


def test_lets_whoever_holds_it_do_what_it_names_and_nothing_else(api, owner, team_mate, role, keys, organization):
    client, boss = api(team_mate), api(owner)
    assert client.get(keys).status_code == 403
    given = boss.post(of(role, "assignees"), {"assignee_id": team_mate.public_id}).json()
    assert client.get(keys).status_code == 200
    assert client.get(at(organization)).status_code == 403
    assert boss.patch(of(role), {"permissions": ["accounts.custom_role.view"]}).status_code == 200
    assert client.get(keys).status_code == 403
    assert client.get(at(organization)).status_code == 200
    assert boss.delete(of(role, "assignees", given["id"])).status_code == 204
    assert client.get(at(organization)).status_code == 403


def test_reaches_its_holder_through_a_team_as_long_as_they_belong_to_it(api, team_mate, role, team, keys):
    client = api(team_mate)
    custom_roles.assign(actor=SYSTEM, role=role, recipient=team)
    member, _ = teams.add_member(actor=SYSTEM, team=team, member=team_mate)
    assert client.get(keys).status_code == 200
    teams.remove_member(actor=SYSTEM, member=member)
    assert client.get(keys).status_code == 403
    teams.add_member(actor=SYSTEM, team=team, member=team_mate)
    assert client.get(keys).status_code == 200
    custom_roles.delete(actor=SYSTEM, role=role)
    assert client.get(keys).status_code == 403


def test_makes_its_holder_no_master_of_others(api, team_mate, organization, other_organization):
    """Somebody who may manage members, roles, keys and programs, and nothing else, comes by nothing else."""
    names = [f"accounts.{noun}.manage" for noun in ("membership", "custom_role", "api_key", "service_account", "team")]
    names += [name.replace("manage", "view") for name in names]
    role = custom_roles.create(actor=SYSTEM, organization=organization, name="Clerk", permissions=names)
    custom_roles.assign(actor=SYSTEM, role=role, recipient=team_mate)
    client, base = api(team_mate), f"/api/v1/organizations/{organization.public_id}"
    own = Membership.objects.get(user=team_mate)
    team = teams.create(actor=SYSTEM, organization=organization, name="Board")
    asking.grant(f"team:{team.pk}#member", "admin", f"organization:{organization.pk}")
    for method, path, body, code in (
        ("patch", f"{base}/members/{own.public_id}", {"role": "admin"}, "permission_not_held"),
        ("patch", f"{base}/members/{own.public_id}", {"role": "owner"}, "forbidden"),
        ("post", f"{base}/roles", {"name": "All", "permissions": ["billing.customer.edit"]}, "permission_not_held"),
        ("patch", of(role), {"permissions": [*names, "billing.customer.edit"]}, "permission_not_held"),
        ("post", f"{base}/api-keys", {"name": "k", "scopes": ["billing.customer.edit"]}, "scope_not_held"),
        ("post", f"{base}/api-keys", {"name": "k", "scopes": ["accounts.*"]}, "scope_not_held"),
        ("post", f"{base}/service-accounts", {"name": "s", "role": "admin"}, "permission_not_held"),
        ("post", f"/api/v1/teams/{team.public_id}/members", {"member_id": team_mate.public_id}, "permission_not_held"),
    ):
        reply = getattr(client, method)(path, body)
        assert (reply.status_code in (403, 422), reply.json()["code"]) == (True, code), (path, body)
    assert client.patch(f"{base}/members/{own.public_id}", {"role": "viewer"}).status_code == 200
    assert client.get(f"/api/v1/organizations/{other_organization.public_id}/members").status_code == 404
