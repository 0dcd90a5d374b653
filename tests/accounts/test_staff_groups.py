"""Groups of staff: what bounds a staff member, who says so, and that it holds at once, at the desk and in the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.actors import actor_of_user
from accounts.models import Organization, PermissionStore, RelationTuple, User
from accounts.permissions.engine import save_model
from accounts.permissions.language import parse
from accounts.permissions.product import STORE, shipped
from accounts.services import staff as rights
from accounts.services import staff_groups
from audit.models import Event
from billing.models import Customer, Invoice
from core import access
from core.actor import SYSTEM
from core.clock import now
from core.errors import Forbidden, InvalidInput
from tests.cast import PASSWORD, new_person

pytestmark = pytest.mark.django_db
WIKI = "model\n  schema 1.1\ntype user\ntype wiki\n  relations\n    define viewer: [user]\n"


@pytest.fixture
def support() -> Group:
    return staff_groups.save(
        actor=SYSTEM, name="Support", permissions=["billing.customer.view", "accounts.organization.view"]
    )


@pytest.fixture
def helper(support: Group) -> User:
    """A staff member who may look at customers and organisations, and no more."""
    person = new_person("hella@countinghouse.example", name="Hella Helper")
    return rights.grant(actor=SYSTEM, user=person, reason="Joins support", now=now(), groups=[support])


def test_may_what_the_group_may_and_no_more(helper: User, organization: Organization) -> None:
    actor = actor_of_user(helper)
    held = {name for name in access.permissions if access.allows(actor, name, organization)}
    assert held == {"billing.customer.view", "accounts.organization.view"}
    assert access.visible(actor, Organization.objects.all()).exists()
    assert access.visible(actor, Invoice.objects.all()).query.is_empty()
    reach = access.reach(actor, ["billing.customer.view", "billing.invoice.view"])
    assert (reach["billing.customer.view"], reach["billing.invoice.view"]) == (access.EVERYTHING, access.NOTHING)


def test_sees_in_the_admin_what_the_group_may_see(helper: User, staff: User, organization: Organization) -> None:
    browser = Client()
    browser.force_login(helper)
    assert browser.get("/admin/").status_code == 200
    assert browser.get("/admin/accounts/organization/").status_code == 200
    for closed in ("billing/invoice", "audit/event", "accounts/user", "auth/group", "accounts/relationtuple"):
        assert browser.get(f"/admin/{closed}/").status_code == 403, closed
    page = f"/admin/accounts/organization/{organization.pk}/"
    assert "deactivate" not in browser.get(page).content.decode()
    assert browser.get(f"/admin/accounts/user/{staff.pk}/do/revoke-staff-rights/").status_code == 403


def test_may_what_the_group_may_in_the_api(helper: User, api: Callable[..., Any]) -> None:
    client = api(helper)
    assert client.get("/api/v1/customers").status_code == 200
    assert client.get("/api/v1/billing/metrics").status_code == 403
    assert client.get("/api/v1/permissions/models").status_code == 403


def test_changes_at_once(helper: User, support: Group, api: Callable[..., Any]) -> None:
    client = api(helper)
    assert client.get("/api/v1/billing/metrics").status_code == 403
    staff_groups.save(actor=SYSTEM, name="Support", permissions=["billing.metrics.view"], group=support)
    assert client.get("/api/v1/billing/metrics").status_code == 200
    staff_groups.delete(actor=SYSTEM, group=support)
    assert client.get("/api/v1/billing/metrics").status_code == 403
    rights.make_administrator(actor=SYSTEM, user=helper, reason="Promoted", now=now())
    assert client.get("/api/v1/billing/metrics").status_code == 200


def test_is_bounded_by_an_administrator_alone(helper: User, support: Group, staff: User, owner: User) -> None:
    staff_groups.save(actor=actor_of_user(staff), name="Support", permissions=["accounts.staff.manage"], group=support)
    actor = actor_of_user(User.objects.get(pk=helper.pk))
    with pytest.raises(Forbidden, match="Only an administrator"):
        rights.grant(actor=actor, user=owner, reason="A friend", now=now())
    with pytest.raises(Forbidden, match="Only an administrator"):
        rights.make_administrator(actor=actor, user=helper, reason="Me", now=now())
    with pytest.raises(Forbidden, match="Only an administrator"):
        staff_groups.save(actor=actor, name="Support", permissions=["billing.refund.create"], group=support)


def test_writes_no_tuple_that_gives_what_the_group_does_not_hold(
    helper: User, support: Group, organization: Organization, api: Callable[..., Any]
) -> None:
    staff_groups.save(actor=SYSTEM, name="Support", permissions=["accounts.relation_tuple.write"], group=support)
    model = replace(shipped(), types={**shipped().types, "wiki": parse(WIKI).types["wiki"]})
    save_model(PermissionStore.objects.get(name=STORE), model)
    client, before = api(helper), RelationTuple.objects.count()
    own = {"user": f"user:{helper.public_id}", "relation": "viewer", "object": "wiki:1"}
    group = {"user": f"staff_group:{support.pk}#member", "relation": "billing.refund.create", "object": "company:this"}
    member = {**own, "relation": "owner", "object": f"organization:{organization.public_id}"}
    for body, pointer in (
        ({"writes": [own, group]}, "/writes/1"),
        ({"writes": [member]}, "/writes/0"),
        ({"deletes": [{**group, "relation": "accounts.relation_tuple.write"}]}, "/deletes/0"),
    ):
        reply = client.post("/api/v1/permissions/tuples", body)
        assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")
        assert [fault["pointer"] for fault in reply.json()["errors"]] == [pointer]
    assert RelationTuple.objects.count() == before
    assert client.post("/api/v1/permissions/tuples", {"writes": [own]}).status_code == 200


def test_keeps_what_changed_in_the_log(helper: User, support: Group, staff: User) -> None:
    granted = Event.objects.get(type="accounts.user.staff_rights_granted")
    assert granted.data == {"reason": "Joins support", "groups": ["Support"]}
    made = Event.objects.get(type="accounts.staff_group.changed")
    assert made.after["permissions"] == ["accounts.organization.view", "billing.customer.view"]
    staff_groups.save(actor=SYSTEM, name="Support", permissions=made.after["permissions"], group=support)
    assert Event.objects.filter(type="accounts.staff_group.changed").count() == 1, "nothing changed"


def test_refuses_a_permission_that_there_is_not() -> None:
    with pytest.raises(InvalidInput):
        staff_groups.save(actor=SYSTEM, name="Odd", permissions=["billing.everything"])
    assert not Group.objects.exists()


def test_is_set_and_listed_by_command(helper: User) -> None:
    def said(*arguments: str) -> Any:
        out = StringIO()
        call_command("staff_group", *arguments, "--json", stdout=out)
        return json.loads(out.getvalue())

    tried = said("set", "Finance", "billing.refund.*", "--dry-run")
    assert tried["gained"] == ["billing.refund.create", "billing.refund.view"]
    assert set(said()) == {"Support"}
    said("set", "Finance", "billing.refund.*")
    assert said()["Finance"] == ["billing.refund.create", "billing.refund.view"]
    said("delete", "Finance")
    assert set(said()) == {"Support"}
    with pytest.raises(CommandError, match="No permission is called"):
        said("set", "Finance", "nothing.*")


def test_is_made_at_the_desk(staff: User) -> None:
    browser = Client()
    assert browser.login(username=staff.email, password=PASSWORD)
    form = {"name": "Finance", "held": ["billing.refund.view", "billing.customer.view"]}
    assert browser.post("/admin/auth/group/add/", form).status_code == 302
    group = Group.objects.get()
    assert staff_groups.held_by(group) == ["billing.customer.view", "billing.refund.view"]
    page = browser.get(f"/admin/auth/group/{group.pk}/change/")
    assert page.status_code == 200
    form["held"] = ["billing.refund.view"]
    assert browser.post(f"/admin/auth/group/{group.pk}/change/", form).status_code == 302
    assert staff_groups.held_by(group) == ["billing.refund.view"]
    assert browser.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Group.objects.exists()


def test_reads_as_little_for_a_bounded_one_whatever_they_open(helper: User, django_assert_max_num_queries: Any) -> None:
    actor = actor_of_user(helper)
    with django_assert_max_num_queries(2):
        assert not access.visible(actor, Customer.objects.all()).query.is_empty()


def test_lists_groups_by_as_many_queries_for_many_as_for_few(staff: User) -> None:
    browser, counts = Client(), []
    browser.force_login(staff)
    browser.get("/admin/auth/group/")  # the first page of a session asks more
    for number in range(10):
        staff_groups.save(actor=SYSTEM, name=f"Group {number}", permissions=["billing.refund.view", "core.job.view"])
        if number in (1, 9):
            with CaptureQueriesContext(connection) as queries:
                page = browser.get("/admin/auth/group/").content.decode()
            assert page.count("billing.refund.view, core.job.view") == number + 1
            counts.append(len(queries))
    assert counts[0] == counts[1]
