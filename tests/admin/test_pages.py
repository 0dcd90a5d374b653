"""An object's page: what it shows, what it links to, and that its cost does not grow with the object's past."""

from __future__ import annotations

import html

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Organization, User
from audit.models import Event
from billing.models import LedgerEntry, Payment
from billing.services import payments, refunds
from core import jobs
from core.actor import SYSTEM
from core.admin.html import admin_url
from core.models import Schedule
from tests.billing import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(desk: Client):
    def get(obj: object) -> str:
        reply = desk.get(admin_url(obj))  # type: ignore[arg-type]
        assert reply.status_code == 200, reply
        return html.unescape(reply.content.decode())

    return get


def pay(invoice) -> Payment:
    return payments.create(actor=SYSTEM, invoice=invoice, operation_key=str(invoice.pk), now=factories.NOW)


def test_shows_a_customer_with_all_that_belongs_to_it(page, organization: Organization, owner: User):
    customer = factories.customer(name="Gracious Hope", organization=organization, email="hope@example.com")
    invoice = factories.invoice(customer)
    payment = pay(invoice)
    shown = page(customer)
    for words in (
        "Gracious Hope",
        "hope@example.com",
        owner.email,
        str(invoice.number),
        "$29.85",
        "A payment came in.",
    ):
        assert words in shown
    for address in (admin_url(payment), admin_url(invoice), admin_url(organization)):
        assert f'href="{address}"' in shown
    assert f"customer__id__exact={customer.pk}" in shown


def test_asks_as_little_for_a_long_past_as_for_a_short_one(desk: Client, organization: Organization):
    customer = factories.customer(organization=organization)
    counts = []
    for _ in range(2):
        for _ in range(11):
            pay(factories.invoice(customer))
        desk.get(admin_url(customer))
        with CaptureQueriesContext(connection) as queries:
            desk.get(admin_url(customer))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 35


@pytest.mark.django_db(transaction=True)
def test_shows_every_kind_of_object(page, organization: Organization, owner: User):
    payment = pay(factories.invoice(factories.customer(organization=organization)))
    refund = refunds.create(actor=SYSTEM, payment=payment, operation_key="r", now=factories.NOW)
    invoice = payment.allocations.get().invoice
    line = invoice.lines.get()
    for obj in (
        payment, refund, invoice, line.subscription, line.price, line.price.product, payment.customer,
        payment.billing_entity, organization, owner, organization.memberships.get(), Event.objects.first(),
        LedgerEntry.objects.first(),
    ):  # fmt: skip
        assert obj is not None
        assert "ch-head" in page(obj)


def test_shows_a_job_and_a_schedule(page):
    from datetime import timedelta

    from core import clock

    job = jobs.enqueue("billing.renew_due", {}, actor=SYSTEM, run_at=clock.now() + timedelta(hours=1))
    schedule = Schedule.objects.first() or Schedule.objects.create(
        name="test", kind="billing.renew_due", cron="* * * * *", next_run_at=clock.now()
    )
    assert "billing.renew_due" in page(job)
    assert schedule.name in page(schedule)


def test_opens_by_the_public_id_too(desk: Client):
    customer = factories.customer(name="Gracious Hope")
    address = admin_url(customer).replace(str(customer.pk), customer.public_id)
    assert "Gracious Hope" in desk.get(address).content.decode()


@pytest.mark.parametrize("key", ["nonsense", "cus_0000", "00000000-0000-7000-8000-000000000000", "sub_" + "0" * 26])
def test_knows_no_such_object(key, desk: Client):
    reply = desk.get(reverse("admin:billing_customer_change", args=[key]), follow=True)
    assert reply.status_code == 404


def test_leaves_what_is_empty_out_of_the_facts(page):
    shown = page(factories.subscription(factories.customer()))
    assert "Cancel reason" not in shown
    assert "Paused at" not in shown


def test_tells_no_period_for_what_has_ended(page, desk: Client):
    ended = factories.subscription(factories.customer(), status="canceled", is_end_known=False, ended_at=None)
    last_day = f"{ended.current_period_end.day} {ended.current_period_end:%b %Y}"
    shown = page(ended)
    assert "day not known" in shown
    assert "Current period<" not in shown
    assert last_day not in page(ended.customer)
    assert last_day not in desk.get(reverse("admin:billing_subscription_changelist")).content.decode()


def test_shows_text_of_others_as_text(desk: Client):
    customer = factories.customer(name="<script>alert(1)</script>", email="x@example.com")
    for address in (admin_url(customer), reverse("admin:billing_customer_changelist"), reverse("admin:index")):
        assert b"<script>alert(1)" not in desk.get(address).content


def test_takes_a_product_and_a_price_off_sale(give):
    price = factories.price()
    give(price, "take-off-sale", reason="Old tariff")
    give(price.product, "take-off-sale", reason="Old product")
    price.refresh_from_db()
    assert (price.is_active, price.product.is_active) == (False, False)
    give(price, "put-on-sale", reason="Back by demand")
    price.refresh_from_db()
    assert price.is_active


def test_goes_through_a_long_timeline_page_by_page(desk: Client, monkeypatch):
    from core.admin import entities

    monkeypatch.setattr(entities, "ENTRIES_ON_TIMELINE", 2)
    customer = factories.customer()
    for _ in range(3):
        pay(factories.invoice(customer))
    where = reverse("admin:billing_customer_history", args=[customer.pk])
    first = desk.get(where).context
    second = desk.get(where + first["older_url"]).context
    assert len(first["timeline"]) == len(second["timeline"]) == 2
    assert {entry.id for entry in first["timeline"]}.isdisjoint(entry.id for entry in second["timeline"])
    assert desk.get(where + "?before=nonsense").status_code == 200


def test_shows_what_people_typed_as_text_on_every_page(desk: Client, owner: User, organization: Organization) -> None:
    evil = '"><img src=x onerror=alert(1)>'
    Organization.objects.update(name=evil)
    User.objects.update(name=evil)
    factories.invoice(factories.customer(organization=organization, name=evil))
    for model, pages in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.first()
        addresses = [reverse(f"{name}_changelist")]
        if row is not None:
            addresses += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history")]
            commands = getattr(pages, "commands", ())
            addresses += [reverse(f"{name}_command", args=[row.pk, command.name]) for command in commands]
        for address in addresses:
            assert "<img src=x" not in desk.get(address).content.decode(), address


def test_changes_nothing_by_get(desk: Client, owner: User, organization: Organization) -> None:
    factories.invoice(factories.customer(organization=organization))
    before = Event.objects.count()
    for model, pages in admin.site._registry.items():
        row = model._default_manager.first()
        for command in getattr(pages, "commands", ()) if row is not None else ():
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_command"
            desk.get(reverse(name, args=[row.pk, command.name]), {"reason": "x", "confirm": "1", "token": "0" * 32})
    assert Event.objects.count() == before


def test_takes_no_command_without_the_token_of_its_page(staff: User) -> None:
    running = factories.subscription(factories.customer())
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(staff)
    address = reverse("admin:billing_subscription_command", args=[running.pk, "pause"])
    assert browser.post(address, {"reason": "x", "confirm": "1"}).status_code == 403
    running.refresh_from_db()
    assert running.status == "active"


def test_shuts_out_at_once_who_is_no_staff_any_more(desk: Client, staff: User) -> None:
    assert desk.get("/admin/find/?q=a").status_code == 200
    User.objects.filter(pk=staff.pk).update(is_staff=False)
    assert desk.get("/admin/find/?q=a").status_code == 302
