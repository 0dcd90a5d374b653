"""Staff whom a group bounds: at the desk they see and may do what the group was given, and nothing else."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import Organization, User
from accounts.permissions import asking
from billing.models import Payment
from core.admin.html import admin_url
from tests.billing import factories
from tests.cast import Api, new_person
from tests.meta.company import Company, company

pytestmark = pytest.mark.django_db


@pytest.fixture
def ours(organization: Organization, owner: User) -> Company:
    return company(organization, owner, factories.entity())


@pytest.fixture
def clerk(db: None) -> Callable[..., User]:
    """`clerk("billing.customer.view")` is a staff member whose group was given that."""

    def made(*held: str) -> User:
        person = new_person("carla@countinghouse.example", is_staff=True, name="Carla Clerk")
        User.objects.filter(pk=person.pk).update(is_superuser=False)
        group = Group.objects.create(name="Clerks")
        person.groups.add(group)
        for name in held:
            asking.grant(f"staff_group:{group.pk}#member", name, "company:this")
        return User.objects.get(pk=person.pk)

    return made


def desk_of(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_sees_the_lists_and_pages_of_the_group_and_no_others(ours: Company, clerk: Any) -> None:
    desk = desk_of(clerk("billing.customer.view"))
    page = desk.get(admin_url(ours.rows["customer"]))
    assert (desk.get("/admin/billing/customer/").status_code, page.status_code) == (200, 200)
    for table in ("billing/payment", "billing/refund", "billing/invoice", "accounts/user", "core/job", "audit/event"):
        assert desk.get(f"/admin/{table}/").status_code == 403, table
        assert f'href="/admin/{table}/"' not in page.content.decode(), table
    for kind in ("payments", "refunds", "invoices", "subscriptions", "members"):
        assert desk.get(admin_url(ours.rows[kind])).status_code == 403, kind
        assert ours.ids[kind] not in page.content.decode(), kind


def test_finds_no_refund_button_and_no_way_around_it(ours: Company, clerk: Any) -> None:
    desk, payment = desk_of(clerk("billing.payment.view")), ours.rows["refundable_payment"]
    page = desk.get(admin_url(payment))
    assert page.status_code == 200
    address = admin_url(payment).replace("/change/", "/do/refund/")
    assert address not in page.content.decode()
    sent = {"reason": "Because.", "confirm": "yes", "token": "a" * 32}
    assert [desk.get(address).status_code, desk.post(address, sent).status_code] == [403, 403]
    assert not Payment.objects.get(pk=payment.pk).refunds.exists()


def test_finds_the_refund_button_when_the_group_is_given_it(ours: Company, clerk: Any) -> None:
    desk, payment = desk_of(clerk("billing.payment.view", "billing.refund.create")), ours.rows["refundable_payment"]
    address = admin_url(payment).replace("/change/", "/do/refund/")
    assert address in desk.get(admin_url(payment)).content.decode()
    assert desk.get(address).status_code == 200


def test_is_bounded_in_the_api_as_at_the_desk(ours: Company, clerk: Any, api: Callable[..., Api]) -> None:
    client = api(clerk("billing.customer.view"))
    assert client.get(f"/api/v1/customers/{ours.ids['customer']}").status_code == 200
    assert client.get(f"/api/v1/payments/{ours.ids['payments']}").status_code == 404
    refused = client.post(
        "/api/v1/refunds", {"payment_id": ours.ids["refundable_payment"]}, headers={"Idempotency-Key": "1"}
    )
    assert refused.status_code in (400, 403, 404)
    assert not Payment.objects.get(pk=ours.rows["refundable_payment"].pk).refunds.exists()


def test_shows_figures_and_events_to_those_who_may_see_them(ours: Company, clerk: Any) -> None:
    shown = desk_of(clerk()).get("/admin/").content.decode()
    assert "Monthly recurring revenue" not in shown
    assert "Nothing happened yet" not in shown
    assert "Ask an administrator for what you need." in shown
    assert not [mark for mark in ours.marks if mark in shown]


def test_sees_no_sum_of_rows_that_it_may_not_see(ours: Company, clerk: Any) -> None:
    person = clerk("billing.customer.view")
    desk, address = desk_of(person), admin_url(ours.rows["customer"])
    figures = ("Paid in all", "Owes", "Active subscriptions", "Customer since")

    def shown() -> list[str]:
        page = desk.get(address).content.decode()
        return [name for name in figures if name in page]

    assert shown() == ["Customer since"]
    asking.grant(f"staff_group:{person.groups.get().pk}#member", "billing.payment.view", "company:this")
    assert shown() == ["Paid in all", "Customer since"]


def test_loses_at_once_what_is_taken_from_the_group(ours: Company, clerk: Any) -> None:
    desk = desk_of(clerk("billing.customer.view"))
    assert desk.get("/admin/billing/customer/").status_code == 200
    asking.revoke(f"staff_group:{Group.objects.get().pk}#member", "billing.customer.view", "company:this")
    assert desk.get("/admin/billing/customer/").status_code == 403


_ID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]+")


def _links(page: str, address: str) -> list[str]:
    """The addresses of the admin to which a page leads, two of each kind."""
    kinds: dict[str, list[str]] = {}
    for found in re.findall('href="([^"]+)"', page):
        link = html.unescape(found).split("#")[0]
        link = address.split("?")[0] + link if link.startswith("?") else link
        if link.startswith("/admin/") and "/logout/" not in link:
            kinds.setdefault(_ID.sub("", link), []).append(link)
    return [link for links in kinds.values() for link in links[:2]]


@pytest.mark.parametrize(
    "held",
    [
        (),
        ("accounts.permission.ask",),
        ("accounts.relation_tuple.view",),
        ("accounts.permission_model.view",),
        ("accounts.permission.ask", "accounts.permission_model.view", "accounts.relation_tuple.write"),
        ("accounts.organization.view", "accounts.share.manage", "billing.invoice.view"),
        ("accounts.team.manage", "audit.event.read"),
    ],
    ids=" ".join,
)
def test_is_led_by_no_link_to_a_refusal(ours: Company, clerk: Any, held: tuple[str, ...]) -> None:
    desk, refused, seen = desk_of(clerk(*held)), [], set()
    waiting = [("/admin/", "the door")]
    while waiting and len(seen) < 40:
        address, source = waiting.pop(0)
        if address in seen:
            continue
        seen.add(address)
        reply = desk.get(address)
        if reply.status_code >= 400:
            refused.append((reply.status_code, address, source))
        elif not reply.streaming:
            waiting += [(link, address) for link in _links(reply.content.decode(), address)]
    assert not refused


def test_opens_the_questions_with_the_right_to_ask_alone(ours: Company, clerk: Any) -> None:
    desk = desk_of(clerk("accounts.permission.ask"))
    why, what_if = "/admin/accounts/relationtuple/why/", "/admin/accounts/relationtuple/what-if/"
    menu = desk.get("/admin/").content.decode()
    assert (why in menu, what_if in menu) == (True, False)
    assert [desk.get(address).status_code for address in (why, what_if)] == [200, 403]


def test_finds_nothing_by_the_id_of_what_it_may_not_see(ours: Company, clerk: Any) -> None:
    desk, customer = desk_of(clerk("billing.invoice.view")), ours.rows["customer"]
    answer = desk.get("/admin/find/", {"q": customer.public_id})
    assert answer.json()["go"] == ""
    assert str(customer) not in answer.content.decode()
    assert desk.get("/admin/find/", {"q": ours.rows["invoices"].public_id}).json()["go"]


def test_sees_figures_that_lead_to_its_own_lists_alone(ours: Company, clerk: Any, staff: User) -> None:
    bounded, free = desk_of(clerk("billing.metrics.view", "billing.payment.view")), desk_of(staff)
    for _ in range(2):  # whoever of them comes first, the figures are kept for both
        shown = [
            re.findall('<a href="([^"]*)" class="ch-figures__one"', desk.get("/admin/").content.decode())
            for desk in (bounded, free)
        ]
        assert [len(links) for links in shown] == [1, 6]


def test_is_told_what_to_do_about_a_refusal(ours: Company, clerk: Any) -> None:
    page = desk_of(clerk()).get("/admin/billing/customer/")
    assert page.status_code == 403
    assert "Somebody who has more can give you more." in page.content.decode()


def test_shows_an_administrator_who_is_in_a_group(ours: Company, clerk: Any, staff: User) -> None:
    person, desk = clerk("billing.customer.view"), desk_of(staff)
    group = f"/admin/auth/group/{person.groups.get().pk}/change/"
    assert f'href="{admin_url(person)}"' in desk.get(group).content.decode()
    assert "what Clerks may" in desk.get(admin_url(person)).content.decode()
    assert "everything" in desk.get(admin_url(staff)).content.decode()
    person.groups.clear()
    assert "Nobody yet." in desk.get(group).content.decode()
