"""Sharing one thing with somebody: they see it, and nobody else does, until it is taken back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from accounts.actors import actor_of_user
from accounts.models import Membership, Organization, RelationTuple, ServiceAccount, Share, Team, User
from accounts.services import api_keys, memberships, service_accounts, shares, teams
from audit.models import Event
from billing.models import Invoice
from core.access import Role
from core.actor import SYSTEM
from core.clock import now
from core.errors import InvalidInput
from tests.billing import factories
from tests.cast import new_person

pytestmark = pytest.mark.django_db
SHARES = "/api/v1/shares"


@pytest.fixture
def invoice(organization: Organization) -> Invoice:
    customer = factories.customer(organization=organization, billing_entity=factories.entity())
    made: Invoice = factories.invoice(customer)
    factories.invoice(customer)
    return made


@pytest.fixture
def friend(db: None) -> User:
    """Of no organisation."""
    return new_person("fred@example.com", name="Fred Friend")


@pytest.fixture
def team(organization: Organization, team_mate: User) -> Team:
    return teams.create(actor=SYSTEM, organization=organization, name="Support")


@pytest.fixture
def account(organization: Organization) -> ServiceAccount:
    return service_accounts.create(actor=SYSTEM, organization=organization, name="Importer")


def tuples() -> set[str]:
    return {str(one) for one in RelationTuple.objects.filter(relation="viewer", object_type="invoice")}


def share(row: Any, recipient: Any) -> Share:
    return shares.create(actor=SYSTEM, row=row, recipient=recipient)[0]


@pytest.mark.parametrize("named", ["address", "person", "team", "service account"])
def test_is_given_listed_and_taken_back(api, owner, invoice, friend, team_mate, team, account, named):
    client = api(owner)
    whom = {"address": "Fred@Example.com", "person": team_mate.public_id}
    whom |= {"team": team.public_id, "service account": account.public_id}
    body = {"object": invoice.public_id, "with": whom[named]}
    made = client.post(SHARES, body)
    assert (made.status_code, made.json()["object"]) == (201, invoice.public_id)
    column = {"team": "team_id", "service account": "service_account_id"}.get(named, "user_id")
    assert made.json()[column]
    assert len(tuples()) == 1
    again = client.post(SHARES, body)
    assert (again.status_code, again.json()) == (200, made.json())
    listed = client.get(f"{SHARES}?object={invoice.public_id}")
    assert listed.json()["data"] == client.get(SHARES).json()["data"] == [made.json()]
    assert client.get(f"{SHARES}/{made.json()['id']}").json() == made.json()
    assert client.delete(f"{SHARES}/{made.json()['id']}").status_code == 204
    assert client.delete(f"{SHARES}/{made.json()['id']}").status_code == 404
    assert tuples() == set()
    events = list(Event.objects.filter(type__startswith="accounts.share").order_by("id"))
    assert [event.type for event in events] == ["accounts.share.created", "accounts.share.revoked"]
    assert events[0].after["invoice_id"] == events[1].before["invoice_id"] == str(invoice.pk)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"object": "inv_01h455vb4pex5vsknk084sn02q"}, "/object"),
        ({"object": "x"}, "/object"),
        ({"object": "org"}, "/object"),
        ({"object": None}, "/object"),
        ({"with": "nobody@example.com"}, "/with"),
        ({"with": "usr_01h455vb4pex5vsknk084sn02q"}, "/with"),
        ({"with": "tem_01h455vb4pex5vsknk084sn02q"}, "/with"),
        ({"with": "inv_01h455vb4pex5vsknk084sn02q"}, "/with"),
        ({"with": "usr_x"}, "/with"),
        ({"with": ""}, "/with"),
        ({"why": "because"}, "/why"),
    ],
)
def test_refuses_what_and_whom_there_is_not(api, owner, organization, invoice, friend, body, pointer):
    if body.get("object") == "org":
        body = {"object": organization.public_id}
    reply = api(owner).post(SHARES, {"object": invoice.public_id, "with": friend.email, **body})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, pointer)
    assert Share.objects.count() == 0


def test_tells_nothing_of_people_from_elsewhere(api, owner, invoice, friend):
    """An id is no secret, and must not be turned into a name and an address."""
    unknown = {"object": invoice.public_id, "with": "usr_01h455vb4pex5vsknk084sn02q"}
    refused = [api(owner).post(SHARES, body).json() for body in ({**unknown, "with": friend.public_id}, unknown)]
    assert all(reply.pop("request_id") for reply in refused)
    assert refused[0] == refused[1]
    made = api(owner).post(SHARES, {**unknown, "with": friend.email}).json()
    assert (made["email"], made["name"]) == (friend.email, "")


def test_is_not_with_a_team_of_the_organisation_next_door_nor_of_its_rows(
    api, owner, stranger, other_organization, invoice, friend
):
    theirs = teams.create(actor=SYSTEM, organization=other_organization, name="Theirs")
    reply = api(owner).post(SHARES, {"object": invoice.public_id, "with": theirs.public_id})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/with")
    with pytest.raises(InvalidInput):
        shares.create(actor=actor_of_user(owner), row=invoice, recipient=theirs)
    one, client = share(invoice, friend), api(stranger)
    reply = client.post(SHARES, {"object": invoice.public_id, "with": stranger.public_id})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/object")
    assert client.get(f"{SHARES}?object={invoice.public_id}").json()["data"] == []
    assert client.get(f"{SHARES}/{one.public_id}").status_code == 404
    assert client.delete(f"{SHARES}/{one.public_id}").status_code == 404


def test_is_for_those_who_manage_the_money(api, organization, team_mate, invoice, friend):
    manager = new_person("bill@example.com")
    memberships.create(actor=SYSTEM, organization=organization, user=manager, role=Role.BILLING_MANAGER)
    body = {"object": invoice.public_id, "with": friend.email}
    refused = api(team_mate).post(SHARES, body)
    assert (refused.status_code, refused.json()["permission"]) == (403, "accounts.share.manage")
    assert api(team_mate).get(SHARES).status_code == 403
    assert api(manager).post(SHARES, body).status_code == 201


def test_ends_with_what_it_was_given_through(organization, invoice, team, team_mate, friend):
    share(invoice, team)
    share(invoice, team_mate)
    share(invoice, friend)
    teams.delete(actor=SYSTEM, team=team)
    memberships.remove(actor=SYSTEM, membership=Membership.objects.get(user=team_mate))
    assert tuples() == {f"invoice:{invoice.pk}#viewer@user:{friend.pk}"}
    assert Share.objects.get().user == friend


@pytest.mark.django_db(transaction=True)
def test_is_one_row_when_two_share_the_same_at_once(invoice, friend):
    def give(_: int) -> bool:
        try:
            return shares.create(actor=SYSTEM, row=invoice, recipient=friend)[1]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(give, range(4))) == [False, False, False, True]
    assert Share.objects.count() == len(tuples()) == 1


# --- what it is for: who sees the row ---


def seen(client: Any, invoice: Invoice) -> tuple[int, list[str]]:
    """How the row answers by its id, and what the list shows."""
    listed = client.get("/api/v1/invoices").json()["data"]
    return client.get(f"/api/v1/invoices/{invoice.public_id}").status_code, [row["id"] for row in listed]


def test_shows_the_row_to_a_person_from_outside_and_to_nobody_else(api, owner, invoice, friend, stranger):
    one, client = share(invoice, friend), api(friend)
    assert seen(client, invoice) == (200, [invoice.public_id])
    other = Invoice.objects.exclude(pk=invoice.pk).get()
    assert client.get(f"/api/v1/invoices/{other.public_id}").status_code == 404
    assert client.get(f"/api/v1/customers/{invoice.customer.public_id}").status_code == 404
    assert (
        client.post(f"/api/v1/invoices/{invoice.public_id}/pay", {}, headers={"Idempotency-Key": "k"}).status_code
        == 403
    )
    assert seen(api(stranger), invoice) == (404, [])
    shares.revoke(actor=actor_of_user(owner), share=one)
    assert seen(client, invoice) == (404, [])


def test_shows_the_row_to_a_person_of_another_organisation_beside_their_own(api, invoice, stranger, other_organization):
    customer = factories.customer(organization=other_organization, billing_entity=factories.entity())
    own = factories.invoice(customer)
    share(invoice, stranger)
    status, listed = seen(api(stranger), invoice)
    assert (status, set(listed)) == (200, {invoice.public_id, own.public_id})


def test_shows_the_row_to_a_team_as_long_as_one_belongs_to_it(api, invoice, organization, team, account):
    program = service_accounts.create(actor=SYSTEM, organization=organization, name="Second")
    _, text = api_keys.create(actor=SYSTEM, organization=organization, name="k", service_account=program, now=now())
    robot = api().carry(text)
    assert seen(robot, invoice) == (404, [])
    share(invoice, team)
    member, _ = teams.add_member(actor=SYSTEM, team=team, member=program)
    assert seen(robot, invoice) == (200, [invoice.public_id])
    teams.remove_member(actor=SYSTEM, member=member)
    assert seen(robot, invoice) == (404, [])
    share(invoice, program)
    assert seen(robot, invoice) == (200, [invoice.public_id])
