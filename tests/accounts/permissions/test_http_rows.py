"""Lists over HTTP of what is ours: complete too, though what a row says by itself is stored in no tuple."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization, User
from accounts.permissions import asking
from accounts.services import organizations, staff_groups
from accounts.services import staff as rights
from core.actor import SYSTEM
from core.clock import now
from tests.accounts.permissions.over_http import PERMISSIONS, pointers
from tests.billing import factories
from tests.cast import new_person

pytestmark = pytest.mark.django_db
CHECK, OBJECTS, USERS, EXPAND, EXPLAIN = (
    f"{PERMISSIONS}/{name}" for name in ("check", "list-objects", "list-users", "expand", "explain")
)


def invoices(organization: Organization, number: int) -> list[Any]:
    customer = factories.customer(organization=organization)
    return [factories.invoice(customer) for _ in range(number)]


def listed(client: Any, asked: dict[str, Any]) -> list[str]:
    """All pages of two."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        reply = client.post(OBJECTS, {**asked, "limit": 2, **cursor})
        assert reply.status_code == 200, reply.content
        page = reply.json()
        found += page["objects"]
        assert len(page["objects"]) == 2 or page["complete"]
        if page["complete"]:
            assert page["next"] is None
            return found
        cursor = {"cursor": page["next"]}


def test_lists_the_rows_of_ones_organisation_and_what_was_shared(
    api: Callable[..., Any], owner: User, stranger: User, organization: Organization, team_mate: User
) -> None:
    other = organizations.create(actor=SYSTEM, name="Other", owner=stranger)
    mine, theirs = invoices(organization, 3), invoices(other, 2)
    asking.grant(f"user:{owner.pk}", "viewer", f"invoice:{theirs[0].pk}")
    asking.grant(f"user:{owner.pk}", "viewer", f"invoice:{mine[1].pk}")
    asked = {"relation": "viewer", "type": "invoice"}
    expected = sorted(f"invoice:{one.public_id}" for one in (*mine, theirs[0]))
    found = listed(api(owner), asked)
    assert found == expected
    for one in (*mine, *theirs):
        shown = f"invoice:{one.public_id}"
        reply = api(owner).post(CHECK, {"relation": "viewer", "object": shown})
        assert reply.json()["allowed"] == (shown in found)
    assert listed(api(stranger), asked) == sorted(f"invoice:{one.public_id}" for one in theirs)


def test_takes_public_ids_without_their_type_for_what_they_name(
    api: Callable[..., Any], staff: User, owner: User, stranger: User, organization: Organization
) -> None:
    asked = {"user": owner.public_id, "relation": "billing.invoice.view", "object": organization.public_id}
    assert api(staff).post(CHECK, asked).json() == {"allowed": True}
    assert api(owner).post(CHECK, asked).json() == {"allowed": True}
    assert api(staff).post(CHECK, {**asked, "user": stranger.public_id}).json() == {"allowed": False}
    assert api(stranger).post(CHECK, asked).status_code == 403
    told = api(staff).post(EXPLAIN, asked).json()
    assert (told["user"], told["object"]) == (f"user:{owner.public_id}", f"organization:{organization.public_id}")
    of = {"relation": "owner", "object": organization.public_id, "user_type": "user"}
    assert api(staff).post(USERS, of).json()["users"] == [f"user:{owner.public_id}"]


def test_lists_rows_of_organisations_that_a_question_brings_along(
    api: Callable[..., Any], staff: User, organization: Organization
) -> None:
    rows = invoices(organization, 3)
    asked = {"user": "user:ann", "relation": "viewer", "type": "invoice"}
    assert listed(api(staff), asked) == []
    brought = [{"user": "user:ann", "relation": "owner", "object": f"organization:{organization.public_id}"}]
    found = listed(api(staff), {**asked, "contextual_tuples": brought})
    assert found == [f"invoice:{one.public_id}" for one in rows]


def test_lists_oneself(api: Callable[..., Any], owner: User) -> None:
    asked = {"relation": "oneself", "type": "user"}
    assert listed(api(owner), asked) == [f"user:{owner.public_id}"]


def test_lists_who_sees_a_row_by_its_organisation(
    api: Callable[..., Any], staff: User, owner: User, organization: Organization
) -> None:
    (row,) = invoices(organization, 1)
    asked = {"relation": "viewer", "object": f"invoice:{row.public_id}"}
    assert f"user:{owner.public_id}" in api(staff).post(USERS, asked).json()["users"]
    assert organization.public_id in api(staff).post(EXPAND, asked).content.decode()
    person = {"relation": "oneself", "object": f"user:{owner.public_id}"}
    assert api(staff).post(USERS, person).json()["users"] == [f"user:{owner.public_id}"]


def test_says_why_and_why_not_by_public_ids_alone(
    api: Callable[..., Any], staff: User, owner: User, organization: Organization
) -> None:
    (row,) = invoices(organization, 1)
    asked = {"user": f"user:{owner.public_id}", "relation": "viewer", "object": f"invoice:{row.public_id}"}
    told = api(staff).post(EXPLAIN, asked).content.decode()
    there = {"user": asked["user"], "relation": "owner", "object": f"organization:{organization.public_id}"}
    refused = api(staff).post(f"{PERMISSIONS}/tuples", {"writes": [there], "on_duplicate": "error"})
    assert refused.status_code == 409
    output = StringIO()
    call_command("why", *asked.values(), stdout=output)
    for text in (told, refused.content.decode(), output.getvalue()):
        assert organization.public_id in text
        assert owner.public_id in text
        assert not any(str(one.pk) in text for one in (owner, organization, row))


def test_lists_what_staff_may_and_who_of_them_may_it(
    api: Callable[..., Any], staff: User, owner: User, stranger: User
) -> None:
    group = staff_groups.save(actor=SYSTEM, name="Refunds", permissions=["billing.refund.create"])
    rights.grant(actor=SYSTEM, user=stranger, reason="Joins", now=now(), groups=[group])

    def who(target: str, relation: str) -> set[str]:
        return set(api(staff).post(USERS, {"object": target, "relation": relation}).json()["users"])

    both = {f"user:{staff.public_id}", f"user:{stranger.public_id}"}
    assert who("company:this", "billing.refund.create") == both
    assert who("company:this", "administrator") == {f"user:{staff.public_id}"}
    assert who(f"staff_group:{group.pk}", "member") == {f"user:{stranger.public_id}"}
    asked = {"user": f"user:{stranger.public_id}", "relation": "billing.refund.create", "type": "company"}
    assert listed(api(staff), asked) == ["company:this"]
    assert listed(api(staff), {**asked, "relation": "billing.invoice.void"}) == []


def test_says_that_rows_cannot_be_listed_by_what_takes_away(api: Callable[..., Any], staff: User) -> None:
    product = asking.engine().model
    text = "define banned: [user]\n    define clean: viewer but not banned"
    changed = api(staff).post(
        f"{PERMISSIONS}/models",
        {"text": _with_relations(api(staff), "invoice", text)},
    )
    assert changed.status_code == 201, changed.content
    assert product.relation("invoice", "clean") is None
    reply = api(staff).post(OBJECTS, {"user": "user:ann", "relation": "clean", "type": "invoice"})
    assert (reply.status_code, pointers(reply), reply.json()["openfga_code"]) == (400, ["/relation"], 2000)


def test_reads_many_rows_in_the_queries_of_few(
    api: Callable[..., Any], owner: User, organization: Organization
) -> None:
    client = api(owner)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.post(OBJECTS, {"relation": "viewer", "type": "invoice"}).json()["objects"]
        return len(queries)

    invoices(organization, 5)
    cost()
    few = cost()
    invoices(organization, 45)
    assert cost() == few


def test_asks_about_many_staff_in_the_queries_of_few(api: Callable[..., Any], staff: User) -> None:
    group = staff_groups.save(actor=SYSTEM, name="Refunds", permissions=["billing.refund.create"])
    client = api(staff)
    people: list[str] = []

    def join(number: int) -> None:
        for _ in range(number):
            person = new_person(f"helper{len(people)}@countinghouse.example")
            rights.grant(actor=SYSTEM, user=person, reason="Joins", now=now(), groups=[group])
            people.append(f"user:{person.public_id}")

    def cost() -> int:
        of_company = {"relation": "billing.refund.create", "object": "company:this"}
        with CaptureQueriesContext(connection) as queries:
            assert {*people} < {*client.post(USERS, of_company).json()["users"]}
            checks = [{"user": user, **of_company} for user in people]
            answers = client.post(f"{PERMISSIONS}/batch-check", {"checks": checks}).json()
        assert answers["results"] == [{"allowed": True}] * len(people)
        return len(queries)

    join(2)
    cost()
    few = cost()
    join(10)
    assert cost() == few


def _with_relations(client: Any, kind: str, relations: str) -> str:
    newest = client.get(f"{PERMISSIONS}/models?limit=1").json()["data"][0]["id"]
    text: str = client.get(f"{PERMISSIONS}/models/{newest}?show=dsl").json()["text"]
    head, tail = text.split(f"\ntype {kind}\n  relations\n", 1)
    return f"{head}\ntype {kind}\n  relations\n    {relations}\n{tail}"
