"""Organisations, their members and invitations, and the tenant next door."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core import mail
from django.db import connections

from accounts.actors import actor_of_user
from accounts.errors import LastOwner
from accounts.models import Invitation, Membership, Organization
from accounts.services import memberships
from core import jobs
from core.access import Role
from core.actor import SYSTEM
from core.errors import Forbidden
from tests.cast import new_person

pytestmark = pytest.mark.django_db
ORGANIZATIONS = "/api/v1/organizations"


def at(organization: Organization, *rest: str) -> str:
    return "/".join([ORGANIZATIONS, organization.public_id, *rest])


def invited_token() -> str:
    jobs.drain()
    found = re.search(r"^Token: (\S+)$", mail.outbox[-1].body, re.MULTILINE)
    assert found
    return found[1]


def test_makes_whoever_founds_it_its_owner(api):
    person = new_person("ada@example.com")
    client = api(person)
    made = client.post(ORGANIZATIONS, {"name": "Ada's Engines", "billing_email": "pay@example.com"})
    assert made.status_code == 201
    assert (made.json()["slug"], made["ETag"][:4]) == ("adas-engines", '"v1-')
    (member,) = client.get(f"{ORGANIZATIONS}/{made.json()['id']}/members").json()["data"]
    assert (member["email"], member["role"]) == ("ada@example.com", "owner")
    assert client.post(ORGANIZATIONS, {"name": "Ada's Engines"}).json()["slug"].startswith("adas-engines-")


@pytest.mark.parametrize("rest", ["", "members", "invitations", "api-keys"])
def test_hides_everything_from_the_stranger_next_door(api, stranger, organization, rest):
    path = at(organization, rest) if rest else at(organization)
    assert api(stranger).get(path).status_code == 404
    assert api().get(path).status_code == 401


def test_hides_it_from_the_stranger_s_list_and_changes(api, stranger, owner, organization):
    client = api(stranger)
    assert organization.public_id not in client.get(ORGANIZATIONS).content.decode()
    assert client.patch(at(organization), {"name": "Mine"}).status_code == 404
    assert client.post(at(organization, "invitations"), {"email": "x@y.io", "role": "owner"}).status_code == 404
    member = Membership.objects.get(organization=organization, user=owner)
    assert client.patch(at(organization, "members", member.public_id), {"role": "viewer"}).status_code == 404
    assert client.delete(at(organization, "members", member.public_id)).status_code == 404
    header = {"X-Organization": organization.public_id}
    assert client.get(ORGANIZATIONS, headers=header).status_code == 404


@pytest.mark.parametrize(("text", "status"), [("nonsense", 400), ("usr_01h455vb4pex5vsknk084sn02q", 400)])
def test_refuses_a_malformed_organisation_header(api, owner, text, status):
    assert api(owner).get(ORGANIZATIONS, headers={"X-Organization": text}).status_code == status


def test_shows_members_to_a_plain_member_but_lets_them_change_nothing(api, team_mate, owner, organization):
    client = api(team_mate)
    listed = client.get(at(organization, "members")).json()["data"]
    assert {row["email"] for row in listed} == {owner.email, team_mate.email}
    assert client.patch(at(organization), {"name": "Ours"}).status_code == 403
    assert client.get(at(organization, "invitations")).status_code == 403
    member = Membership.objects.get(user=owner)
    refused = client.patch(at(organization, "members", member.public_id), {"role": "viewer"})
    assert (refused.status_code, refused.json()["permission"]) == (403, "accounts.membership.manage")


def test_changes_details_at_the_version_that_was_read(api, owner, organization):
    client = api(owner)
    etag = client.get(at(organization))["ETag"]
    changed = client.patch(at(organization), {"name": "Acme & Co"}, headers={"If-Match": etag})
    assert (changed.status_code, changed.json()["name"]) == (200, "Acme & Co")
    assert client.patch(at(organization), {"name": "Late"}, headers={"If-Match": etag}).status_code == 412


def test_keeps_an_owner(api, owner, organization):
    client, member = api(owner), Membership.objects.get(user=owner)
    for reply in (
        client.delete(at(organization, "members", member.public_id)),
        client.patch(at(organization, "members", member.public_id), {"role": "admin"}),
    ):
        assert (reply.status_code, reply.json()["code"]) == (409, "last_owner")


def test_lets_only_owners_make_owners(api, owner, team_mate, organization):
    mate = Membership.objects.get(user=team_mate)
    memberships.change_role(actor=actor_of_user(owner), membership=mate, role=Role.ADMIN)
    client = api(team_mate)
    path = at(organization, "members", mate.public_id)
    assert client.patch(path, {"role": "owner"}).status_code == 403
    boss = Membership.objects.get(user=owner)
    assert client.patch(at(organization, "members", boss.public_id), {"role": "viewer"}).status_code == 403
    assert client.post(at(organization, "invitations"), {"email": "x@y.io", "role": "owner"}).status_code == 403
    assert client.delete(path).status_code == 204, "everybody may leave"


@pytest.mark.django_db(transaction=True)
def test_keeps_an_owner_when_two_leave_at_once(owner, organization):
    second = new_person("otto@example.com")
    memberships.create(actor=SYSTEM, organization=organization, user=second, role=Role.OWNER)

    def leave(member: Membership) -> str:
        try:
            memberships.remove(actor=SYSTEM, membership=member)
        except LastOwner:
            return "refused"
        finally:
            connections.close_all()
        return "left"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(leave, list(Membership.objects.all()))) == ["left", "refused"]


def test_brings_somebody_in_by_an_invitation(api, owner, organization):
    boss = api(owner)
    made = boss.post(at(organization, "invitations"), {"email": "Ivy@Example.com", "role": "billing_manager"})
    assert (made.status_code, made.json()["status"]) == (201, "pending")
    assert "token" not in made.json()
    token = invited_token()
    again = boss.post(at(organization, "invitations"), {"email": "ivy@example.com", "role": "member"})
    assert (again.status_code, again.json()["code"]) == (409, "already_invited")

    thief = api(new_person("mallory@example.com"))
    assert thief.post("/api/v1/invitations/accept", {"token": token}).json()["code"] == "invitation_for_another"
    client = api(new_person("ivy@example.com"))
    joined = client.post("/api/v1/invitations/accept", {"token": token})
    assert (joined.status_code, joined.json()["role"]) == (200, "billing_manager")
    assert client.get(at(organization)).status_code == 200
    assert client.post("/api/v1/invitations/accept", {"token": token}).json()["code"] == "invalid_mail_token"
    known = boss.post(at(organization, "invitations"), {"email": "ivy@example.com", "role": "member"})
    assert known.json()["code"] == "already_member"


def test_takes_an_invitation_back(api, owner, organization):
    boss = api(owner)
    made = boss.post(at(organization, "invitations"), {"email": "ivy@example.com", "role": "member"}).json()
    token = invited_token()
    path = at(organization, "invitations", made["id"], "revoke")
    assert boss.post(path).json()["status"] == "revoked"
    assert boss.post(path).json()["code"] == "invitation_not_pending"
    reply = api(new_person("ivy@example.com")).post("/api/v1/invitations/accept", {"token": token})
    assert reply.json()["code"] == "invalid_mail_token"


def test_keeps_only_a_hash_of_an_invitation(api, owner, organization):
    api(owner).post(at(organization, "invitations"), {"email": "ivy@example.com", "role": "member"})
    token = invited_token()
    assert token.encode() not in bytes(Invitation.objects.get().token_hash)


def test_shows_all_organisations_to_staff(api, staff, organization, other_organization):
    listed = {row["id"] for row in api(staff).get(ORGANIZATIONS).json()["data"]}
    assert listed == {organization.public_id, other_organization.public_id}
    named = api(staff).get(ORGANIZATIONS, headers={"X-Organization": organization.public_id})
    assert named.status_code == 200


def test_takes_as_many_queries_for_fifty_members_as_for_five(api, owner, organization, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from accounts.models import User

    def fill(start: int, end: int) -> None:
        people = User.objects.bulk_create([User(email=f"p{n}@example.com") for n in range(start, end)])
        Membership.objects.bulk_create([Membership(organization=organization, user=person) for person in people])

    client, path = api(owner), at(organization, "members")
    fill(0, 5)
    client.get(path)
    with CaptureQueriesContext(connection) as five:
        client.get(path)
    fill(5, 50)
    with CaptureQueriesContext(connection) as fifty:
        assert len(client.get(f"{path}?limit=100").json()["data"]) == 51
    assert len(five) == len(fifty) <= 4, [query["sql"][:300] for query in fifty]


def test_tells_that_a_member_changed_its_name_by_the_etag(api, owner, organization, team_mate):
    mate = Membership.objects.get(user=team_mate)
    url, client = f"/api/v1/organizations/{organization.public_id}/members/{mate.public_id}", api(owner)
    tag = client.get(url)["ETag"]
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    api(team_mate).patch("/api/v1/me", {"name": "Thomas"})
    again = client.get(url, headers={"If-None-Match": tag})
    assert (again.status_code, again.json()["name"]) == (200, "Thomas")
    # The membership itself did not change, so a command that was decided on before is still right.
    assert client.patch(url, {"role": "viewer"}, headers={"If-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    "name", ["Acme\nBcc: all@x.example", "Acme\rYour account is locked", "\x1b[31mAcme\r\n\r\nPay here"]
)
def test_lets_no_name_write_into_the_mail(api, owner, name):
    client = api(owner)
    made = client.post("/api/v1/organizations", {"name": name}).json()["id"]
    invited = {"email": "new@x.example", "role": "member"}
    assert client.post(f"/api/v1/organizations/{made}/invitations", invited).status_code == 201
    jobs.drain()
    (sent,) = mail.outbox
    assert sent.subject.startswith("Join ")
    assert sent.subject.endswith(" at Countinghouse")
    assert sent.subject.isprintable()
    assert sent.body.startswith("You are invited to ")
    assert "\x1b" not in sent.body


def test_asks_for_the_role_as_it_stands_when_somebody_is_removed(api, owner, team_mate, organization):
    """Read as a plain member, made an owner meanwhile: an administrator may not remove them any more."""
    admin = new_person("ada@example.com")
    memberships.create(actor=SYSTEM, organization=organization, user=admin, role=Role.ADMIN)
    read = Membership.objects.select_related("organization").get(user=team_mate)
    Membership.objects.filter(pk=read.pk).update(role=Role.OWNER)
    with pytest.raises(Forbidden):
        memberships.remove(actor=actor_of_user(admin), membership=read)
