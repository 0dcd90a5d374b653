"""Service accounts: programs that act in their own name, with what they were given and no more."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.actors import actor_of_user
from accounts.errors import PermissionNotHeld
from accounts.models import ApiKey, Organization, RelationTuple, ServiceAccount, User
from accounts.selectors.standing import standing_of
from accounts.services import api_keys, custom_roles, service_accounts, teams
from audit.models import Event
from core.access import Role
from core.actor import SYSTEM, ActorType
from core.clock import now
from core.ids import new_id
from core.streams.standing import Proof
from tests.cast import key_actor

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(organization: Organization) -> str:
    return f"/api/v1/organizations/{organization.public_id}"


@pytest.fixture
def account(organization: Organization, owner: User) -> ServiceAccount:
    return service_accounts.create(
        actor=actor_of_user(owner), organization=organization, name="Importer", role=Role.MEMBER
    )


@pytest.fixture
def key(api: Any, owner: User, path: str, account: ServiceAccount) -> dict[str, Any]:
    reply = api(owner).post(f"{path}/api-keys", {"name": "robot", "service_account_id": account.public_id})
    assert reply.status_code == 201, reply.content
    made: dict[str, Any] = reply.json()
    return made


def tuples() -> set[str]:
    return {str(one) for one in RelationTuple.objects.filter(subject_type="service_account")}


def test_is_made_changed_and_listed_by_an_admin(api, owner, team_mate, path, organization):
    client = api(owner)
    made = client.post(f"{path}/service-accounts", {"name": "Importer", "role": "member"})
    assert (made.status_code, made.json()["role"], made.json()["deactivated_at"]) == (201, "member", None)
    one = ServiceAccount.objects.get()
    assert tuples() == {f"organization:{organization.pk}#member@service_account:{one.pk}"}
    at = f"/api/v1/service-accounts/{made.json()['id']}"
    changed = client.patch(at, {"name": "Exporter", "role": "viewer"}, headers={"If-Match": made["ETag"]})
    assert (changed.json()["name"], changed.json()["role"]) == ("Exporter", "viewer")
    assert tuples() == {f"organization:{organization.pk}#viewer@service_account:{one.pk}"}
    assert client.patch(at, {"role": ""}).json()["role"] == ""
    assert tuples() == set()
    assert [row["name"] for row in client.get(f"{path}/service-accounts").json()["data"]] == ["Exporter"]
    assert api(team_mate).get(f"{path}/service-accounts").status_code == 403
    assert api(team_mate).get(at).status_code == 403


def test_acts_in_its_own_name_by_a_key_without_scopes(api, key, account, path):
    assert (key["scopes"], key["service_account_id"]) == ([], account.public_id)
    robot = api().carry(key["key"])
    assert robot.get(path).status_code == 200
    assert robot.patch(path, {"name": "Robots Inc"}).status_code == 403
    refusal = Event.objects.get(type="core.command.refused")
    assert (refusal.actor_type, refusal.actor_id) == ("service_account", account.pk)
    for people_only in ("/api/v1/me", "/api/v1/auth/sessions"):
        assert robot.get(people_only).status_code == 403


def test_may_do_what_it_was_given_and_no_more(api, key, account, path, organization):
    robot = api().carry(key["key"])
    assert robot.get(f"{path}/api-keys").status_code == 403
    role = custom_roles.create(
        actor=SYSTEM, organization=organization, name="Keeper", permissions=["accounts.api_key.view"]
    )
    team = teams.create(actor=SYSTEM, organization=organization, name="Robots")
    custom_roles.assign(actor=SYSTEM, role=role, recipient=team)
    member, _ = teams.add_member(actor=SYSTEM, team=team, member=account)
    assert robot.get(f"{path}/api-keys").status_code == 200
    teams.remove_member(actor=SYSTEM, member=member)
    assert robot.get(f"{path}/api-keys").status_code == 403
    service_accounts.update(actor=SYSTEM, account=account, role=Role.ADMIN)
    assert robot.get(f"{path}/api-keys").status_code == 200
    assert robot.patch(path, {"name": "Robots Inc"}).status_code == 200


def test_stays_in_its_organisation(api, key, other_organization):
    robot = api().carry(key["key"])
    assert robot.get(f"/api/v1/organizations/{other_organization.public_id}").status_code == 404
    assert len(robot.get("/api/v1/organizations").json()["data"]) == 1


def test_is_shut_at_once_and_opened_again(api, owner, key, account, path, flush):
    robot, boss, at = api().carry(key["key"]), api(owner), f"/api/v1/service-accounts/{account.public_id}"
    assert robot.get(path).status_code == 200
    shut = boss.post(f"{at}/deactivate")
    assert shut.json()["deactivated_at"] is not None
    for _ in range(2):
        assert robot.get(path).status_code == 401
        flush()
    assert boss.post(f"{at}/deactivate").json()["code"] == "service_account_inactive"
    refused = boss.post(f"{path}/api-keys", {"name": "second", "service_account_id": account.public_id})
    assert (refused.status_code, refused.json()["code"]) == (409, "service_account_inactive")
    assert boss.post(f"{at}/reactivate").json()["deactivated_at"] is None
    assert robot.get(path).status_code == 200
    assert boss.post(f"{at}/reactivate").json()["code"] == "service_account_active"


def test_is_never_an_owner(api, owner, path):
    reply = api(owner).post(f"{path}/service-accounts", {"name": "Boss", "role": "owner"})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/role")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": ["accounts.*"]}, "/scopes"),
        ({"service_account_id": "sva_01h455vb4pex5vsknk084sn02q"}, "/service_account_id"),
        ({"service_account_id": "x"}, "/service_account_id"),
        ({"service_account_id": None}, "/scopes"),
    ],
)
def test_has_keys_of_its_own_only(api, owner, path, account, body, pointer):
    reply = api(owner).post(f"{path}/api-keys", {"name": "robot", "service_account_id": account.public_id, **body})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, pointer)


def test_has_no_key_of_the_organisation_next_door(api, stranger, account, other_organization, path):
    client = api(stranger)
    body = {"name": "robot", "service_account_id": account.public_id}
    reply = client.post(f"/api/v1/organizations/{other_organization.public_id}/api-keys", body)
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/service_account_id")
    at = f"/api/v1/service-accounts/{account.public_id}"
    assert [client.get(at).status_code, client.patch(at, {"name": "Mine"}).status_code] == [404, 404]
    assert client.post(f"{at}/deactivate").status_code == 404


def test_is_no_way_around_what_its_maker_lacks(organization, account):
    keeper = key_actor(organization, "accounts.service_account.*", "accounts.api_key.*")
    with pytest.raises(PermissionNotHeld):
        service_accounts.create(actor=keeper, organization=organization, name="Mighty", role=Role.ADMIN)
    with pytest.raises(PermissionNotHeld):
        api_keys.create(actor=keeper, organization=organization, name="x", service_account=account, now=now())
    made, _ = api_keys.create(actor=SYSTEM, organization=organization, name="x", service_account=account, now=now())
    with pytest.raises(PermissionNotHeld):
        api_keys.rotate(actor=keeper, api_key=made, now=now())
    service_accounts.deactivate(actor=keeper, account=account, now=now())
    with pytest.raises(PermissionNotHeld):
        service_accounts.reactivate(actor=keeper, account=account, now=now())


def test_reads_streams_as_long_as_the_key_by_which_it_asked_is_alive(key, account):
    row = ApiKey.objects.get()
    proof = Proof(str(ActorType.SERVICE_ACCOUNT), account.pk, row.pk)
    standing = standing_of([proof], now())[proof]
    assert (standing.actor.type, standing.actor.id) == (ActorType.SERVICE_ACCOUNT, account.pk)
    assert not standing_of([Proof(str(ActorType.SERVICE_ACCOUNT), new_id(), row.pk)], now())
    assert not standing_of([Proof(str(ActorType.SERVICE_ACCOUNT), account.pk)], now())
    service_accounts.deactivate(actor=SYSTEM, account=account, now=now())
    assert not standing_of([proof], now())
