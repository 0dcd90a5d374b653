"""Teams, custom roles, service accounts and shares at the desk of staff."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import CustomRole, RoleAssignment, ServiceAccount, Share, Team, TeamMember
from accounts.services import custom_roles, service_accounts, shares, teams
from audit.models import Event
from core.actor import SYSTEM
from core.admin.lists import begins_with
from core.ids import new_id
from tests.billing import factories
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db
VIEW = "accounts.api_key.view"
NAMES = ("Nightly Harvest", "Harvest, nightly")
MORE: dict[type, dict[str, Any]] = {CustomRole: {"permissions": [VIEW]}}


@pytest.fixture
def desk(staff) -> Client:
    browser = Client()
    reply = browser.post("/admin/login/", {"username": staff.email, "password": PASSWORD, "next": "/admin/"})
    assert reply.status_code == 302
    return browser


def page(row: Any) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/"


def give(desk: Client, row: Any, command: str, **data: Any) -> Any:
    """Fill the form of a command in, look at its preview, confirm it."""
    path = f"{page(row)}do/{command}/"
    assert desk.get(path).status_code == 200
    token = new_id().hex
    preview = desk.post(path, {"reason": "asked to", "token": token, **data})
    assert preview.status_code == 200, preview.content
    assert b"confirm" in preview.content
    reply = desk.post(path, {"reason": "asked to", "token": token, "confirm": "1", **data})
    assert reply.status_code == 302, reply.content
    assert desk.get(reply["Location"]).status_code == 200
    return reply


@pytest.fixture
def everything(organization, team_mate) -> dict[str, Any]:
    team = teams.create(actor=SYSTEM, organization=organization, name="Support")
    role = custom_roles.create(actor=SYSTEM, organization=organization, name="Keeper", permissions=[VIEW])
    invoice = factories.invoice(factories.customer(organization=organization, billing_entity=factories.entity()))
    return {
        "team": team,
        "member": teams.add_member(actor=SYSTEM, team=team, member=team_mate)[0],
        "role": role,
        "assignment": custom_roles.assign(actor=SYSTEM, role=role, recipient=team)[0],
        "account": service_accounts.create(actor=SYSTEM, organization=organization, name="Importer", role="member"),
        "share": shares.create(actor=SYSTEM, row=invoice, recipient=team_mate)[0],
        "invoice": invoice,
    }


@pytest.mark.parametrize("model", [Team, TeamMember, CustomRole, RoleAssignment, ServiceAccount, Share])
def test_has_a_list_and_a_page_of_each(desk, everything, model):
    row = model.objects.get()
    assert desk.get(f"/admin/accounts/{model._meta.model_name}/").status_code == 200
    shown = desk.get(f"{page(row)}change/")
    assert shown.status_code == 200
    assert desk.get(f"{page(row)}history/").status_code == 200


@pytest.mark.parametrize("model", [Team, CustomRole, ServiceAccount])
def test_finds_them_by_how_their_name_begins(desk, organization, model):
    found, other = (model.objects.create(organization=organization, name=name, **MORE.get(model, {})) for name in NAMES)
    shown = desk.get(f"/admin/accounts/{model._meta.model_name}/", {"q": "nightly h"}).content.decode()
    assert page(found) in shown
    assert page(other) not in shown
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        assert "name_begins" in begins_with(model.objects.order_by(), "name", "nightly h").explain()


def test_shows_them_on_the_page_of_the_organisation_and_of_what_is_shared(desk, everything, organization, team_mate):
    text = desk.get(f"{page(organization)}change/").content.decode()
    for word in ("Support", "Keeper", "Importer", everything["invoice"].public_id, "New team", "New custom role"):
        assert word in text, word
    shared = desk.get(f"{page(everything['invoice'])}change/").content.decode()
    assert "Shared with" in shared
    assert team_mate.email in shared


def test_makes_and_deletes_a_team_with_members(desk, organization, owner, staff):
    give(desk, organization, "new-team", name="Support")
    team = Team.objects.get()
    give(desk, team, "add-member", who=owner.email)
    give(desk, team, "rename", name="Help")
    give(desk, TeamMember.objects.get(), "remove")
    reply = give(desk, team, "delete")
    assert reply["Location"].startswith(page(organization))
    assert not Team.objects.exists()
    event = Event.objects.get(type="accounts.team.deleted")
    assert (event.actor_id, event.subject_id) == (staff.pk, team.pk)


def test_says_in_the_form_whom_it_does_not_know(desk, everything, stranger):
    for who in (stranger.email, "nobody@example.com", "x", everything["invoice"].public_id):
        reply = desk.post(f"{page(everything['team'])}do/add-member/", {"reason": "r", "who": who})
        assert reply.status_code == 400, who
    assert TeamMember.objects.count() == 1


def test_makes_changes_gives_takes_and_deletes_a_custom_role(desk, organization, owner):
    give(desk, organization, "new-role", name="Keeper", description="", permissions=[VIEW, "accounts.team.view"])
    role = CustomRole.objects.get()
    give(desk, role, "change", name="Keeper", description="of keys", permissions=[VIEW])
    give(desk, role, "assign", who=owner.public_id)
    give(desk, RoleAssignment.objects.get(), "take")
    role.refresh_from_db()
    assert (role.permissions, role.description) == ([VIEW], "of keys")
    give(desk, role, "delete")
    assert not CustomRole.objects.exists()


def test_makes_changes_and_shuts_a_service_account(desk, organization):
    give(desk, organization, "new-service-account", name="Importer", role="admin")
    account = ServiceAccount.objects.get()
    give(desk, account, "change", name="Exporter", role="")
    give(desk, account, "deactivate")
    give(desk, account, "reactivate")
    account.refresh_from_db()
    assert (account.name, account.role, account.is_active) == ("Exporter", "", True)


def test_shares_from_the_page_of_the_thing_and_takes_it_back(desk, everything, owner):
    give(desk, everything["invoice"], "share", who=owner.email)
    one = Share.objects.get(user=owner)
    give(desk, one, "revoke")
    assert not Share.objects.filter(user=owner).exists()


@pytest.mark.parametrize(
    ("command", "model", "data"),
    [
        ("new-team", Team, {}),
        ("new-role", CustomRole, {"permissions": [VIEW]}),
        ("new-service-account", ServiceAccount, {}),
    ],
)
def test_leads_to_what_it_made(desk, organization, command, model, data):
    sent = {"name": "Night shift", "reason": "asked to", "token": new_id().hex, "confirm": "1", **data}
    followed = desk.post(f"{page(organization)}do/{command}/", sent, follow=True).content.decode()
    assert f'was made: <a class="ch-link" href="{page(model.objects.get())}change/">Night shift</a>' in followed


def test_says_what_is_wrong_once_and_at_its_field(desk, everything):
    path = f"{page(everything['team'])}do/add-member/"
    sent = {"reason": "asked to", "token": new_id().hex, "who": "nobody@example.com"}
    reply = desk.post(path, sent)
    told = "Nobody in the organisation has this address."
    assert reply.status_code == 400
    assert reply.context["form"].errors["who"] == [told]
    assert reply.content.decode().count(told) == 2  # in the refusal, and at the field
    assert "audit log as" not in reply.content.decode()  # nothing was tried yet, so nothing is recorded
    assert not Event.objects.filter(type="core.command.refused").exists()


@pytest.mark.django_db(transaction=True)  # what may be done is kept in the process, but not in a transaction that wrote
def test_asks_as_little_for_many_teams_and_roles_as_for_few(desk, organization):
    asked = []
    for numbers in (range(2), range(2, 9)):
        for number in numbers:
            teams.create(actor=SYSTEM, organization=organization, name=f"Team {number}")
            custom_roles.create(actor=SYSTEM, organization=organization, name=f"Role {number}", permissions=[VIEW])
        desk.get(f"{page(organization)}change/")
        with CaptureQueriesContext(connection) as queries:
            desk.get(f"{page(organization)}change/")
        asked.append(len(queries))
    assert asked[0] == asked[1]


def test_says_that_somebody_was_a_member_already(desk, everything, team_mate):
    sent = {"who": team_mate.email, "reason": "asked to", "confirm": "1"}
    for row, command in (
        (everything["team"], "add-member"),
        (everything["invoice"], "share"),
        (everything["role"], "assign"),
    ):
        who = everything["team"].public_id if command == "assign" else team_mate.email
        again = desk.post(f"{page(row)}do/{command}/", {**sent, "who": who, "token": new_id().hex}, follow=True)
        assert "Nothing changed: " in again.content.decode(), command
