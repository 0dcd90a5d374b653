"""API keys: scoped, hashed, expiring, replaced and revoked at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.actors import actor_of_user
from accounts.models import ApiKey
from accounts.services import api_keys
from core.clock import now

pytestmark = pytest.mark.django_db
READ = ["accounts.organization.view", "accounts.membership.view"]


@pytest.fixture
def path(organization) -> str:
    return f"/api/v1/organizations/{organization.public_id}"


def make(api, owner, path, **body):
    reply = api(owner).post(f"{path}/api-keys", {"name": "robot", "scopes": READ, **body})
    assert reply.status_code == 201, reply.content
    return reply.json()


def test_opens_what_its_scopes_say_and_nothing_else(api, owner, path):
    made = make(api, owner, path)
    assert made["key"].startswith("ck_live_")
    robot = api().carry(made["key"])
    assert robot.get(path).status_code == 200
    assert robot.get(f"{path}/members").status_code == 200
    assert robot.patch(path, {"name": "Robots Inc"}).status_code == 403
    assert robot.get(f"{path}/api-keys").status_code == 403
    for people_only in ("/api/v1/me", "/api/v1/auth/sessions"):
        assert robot.get(people_only).status_code == 403
    assert robot.post("/api/v1/organizations", {"name": "x"}).status_code == 403


def test_takes_wildcards(api, owner, path):
    robot = api().carry(make(api, owner, path, scopes=["accounts.*"])["key"])
    assert robot.patch(path, {"name": "Robots Inc"}).status_code == 200


def test_never_leaves_its_organisation(api, owner, path, other_organization):
    robot = api().carry(make(api, owner, path, scopes=["accounts.*"])["key"])
    next_door = f"/api/v1/organizations/{other_organization.public_id}"
    assert robot.get(next_door).status_code == 404
    assert robot.get(path, headers={"X-Organization": other_organization.public_id}).status_code == 404
    assert len(robot.get("/api/v1/organizations").json()["data"]) == 1


def test_shows_the_secret_once_and_keeps_a_hash(api, owner, path):
    made = make(api, owner, path)
    (listed,) = api(owner).get(f"{path}/api-keys").json()["data"]
    assert "key" not in listed
    row = ApiKey.objects.get()
    secret = made["key"].rpartition("_")[2]
    assert secret not in str(vars(row))
    assert listed["hint"] == f"ck_live_{row.lookup}…"


def test_stops_at_once_when_revoked_also_after_a_flush(api, owner, path, flush):
    made = make(api, owner, path)
    robot, boss = api().carry(made["key"]), api(owner)
    assert robot.get(path).status_code == 200
    assert boss.post(f"{path}/api-keys/{made['id']}/revoke").status_code == 200
    for _ in range(2):
        assert robot.get(path).status_code == 401
        flush()
    again = boss.post(f"{path}/api-keys/{made['id']}/revoke")
    assert (again.status_code, again.json()["code"]) == (409, "api_key_not_live")


def test_replaces_its_secret_and_shuts_the_old_one(api, owner, path):
    made = make(api, owner, path)
    old = api().carry(made["key"])
    assert old.get(path).status_code == 200
    rotated = api(owner).post(f"{path}/api-keys/{made['id']}/rotate").json()
    assert rotated["id"] == made["id"]
    assert old.get(path).status_code == 401
    assert api().carry(rotated["key"]).get(path).status_code == 200


def test_expires(organization, owner, api, path):
    moment = now()
    _, text = api_keys.create(
        actor=actor_of_user(owner),
        organization=organization,
        name="short",
        scopes=READ,
        expires_at=moment + timedelta(seconds=5),
        now=moment,
    )
    from accounts.selectors import api_keys as selector

    assert selector.live(text, moment) is not None
    assert selector.live(text, moment + timedelta(seconds=5)) is None


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"scopes": ["accounts.nothing.here"]}, "/scopes"),
        ({"scopes": ["accounts.user.manage"]}, "/scopes"),
        ({"scopes": []}, "/scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": ""}, "/name"),
    ],
)
def test_refuses_scopes_that_no_key_may_have_and_an_expiry_in_the_past(api, owner, path, change, pointer):
    reply = api(owner).post(f"{path}/api-keys", {"name": "robot", "scopes": READ, **change})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, pointer)


@pytest.mark.parametrize("text", ["ck_live_", "ck_live_abc", "ck_live_abc_def", "ck_live_" + "x" * 300])
def test_refuses_a_made_up_key(api, text):
    reply = api().carry(text).get("/api/v1/organizations")
    assert (reply.status_code, reply["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')


def test_refuses_a_wrong_secret_also_when_the_right_one_is_cached(api, owner, path):
    made = make(api, owner, path)
    assert api().carry(made["key"]).get(path).status_code == 200
    assert api().carry(made["key"][:-3] + "xyz").get(path).status_code == 401


def test_gives_no_key_more_than_its_maker_holds(api, owner, path):
    robot = api().carry(make(api, owner, path, scopes=["accounts.api_key.manage"])["key"])
    reply = robot.post(f"{path}/api-keys", {"name": "child", "scopes": ["accounts.*"]})
    assert (reply.status_code, reply.json()["code"]) == (422, "scope_not_held")


def test_lets_no_plain_member_make_one(api, team_mate, path):
    reply = api(team_mate).post(f"{path}/api-keys", {"name": "robot", "scopes": READ})
    assert (reply.status_code, reply.json()["permission"]) == (403, "accounts.api_key.manage")


def test_cannot_come_by_the_secret_of_a_key_that_may_do_more(api, owner, path):
    keeper = api().carry(make(api, owner, path, scopes=["accounts.api_key.view", "accounts.api_key.manage"])["key"])
    mighty = make(api, owner, path, scopes=["billing.*"])
    reply = keeper.post(f"{path}/api-keys/{mighty['id']}/rotate")
    assert (reply.status_code, reply.json()["code"]) == (422, "scope_not_held")
    assert api().carry(mighty["key"]).get("/api/v1/customers").status_code == 200, "the secret is the old one still"
