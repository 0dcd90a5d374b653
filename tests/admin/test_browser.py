"""A staff member's way through the admin in a real browser, against the running server; it leaves pictures behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from billing.models import Payment, Subscription
from billing.services import payments
from core import clock
from core.actor import SYSTEM
from tests.billing import factories
from tests.support import browser
from tests.support.browser import sign_in
from tests.support.index import index_everything

REASON = "Moved to fibre; agreed on the phone"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    browser.needs_chromium,
]


@pytest.fixture
def url(processes: Any) -> str:
    return str(processes.web().url)


@pytest.fixture
def browse(url: str) -> Callable[..., None]:
    """`browse(way)` runs `way(page, picture)` in a browser."""
    return partial(browser.go, url)


@pytest.fixture
def story(db: None) -> dict[str, Any]:
    """A small company: one paying customer, one whose card is declined, two prices."""
    start = clock.now() - timedelta(days=10)
    entity = factories.entity(invoice_prefix="INV")
    hope = factories.customer(
        name="7590-VHVEG", email="hope@example.com", external_id="7590-VHVEG", source="telco", billing_entity=entity
    )
    product = factories.price(amount_minor=2985).product
    running = factories.subscription(hope, product.prices.get(), start=start)
    dearer = factories.price(amount_minor=4995, product=product)
    for number in range(12):
        other = factories.customer(
            name=f"Customer {number}",
            email=f"customer{number}@example.com",
            billing_entity=entity,
            token="tok_card_declined" if number % 5 == 0 else "tok_success",
        )
        began = start - timedelta(days=25 * number)
        invoice = factories.invoice(other, running=factories.subscription(other, dearer, start=began))
        payments.create(actor=SYSTEM, invoice=invoice, operation_key=f"story:{number}", now=clock.now())
    invoice = factories.invoice(hope, running=running)
    payment = payments.create(actor=SYSTEM, invoice=invoice, operation_key="story", now=clock.now())
    index_everything()
    return {"customer": hope, "subscription": running, "payment": payment, "price": dearer, "invoice": invoice}


def test_goes_the_way_of_a_staff_member(browse, staff: User, story: dict[str, Any]):
    def way(page: Any, picture: Callable[[str], None]) -> None:
        page.goto("/admin/")
        picture("sign-in")
        sign_in(page, staff.email)
        assert page.locator("canvas").count() == 3
        picture("dashboard")

        browser.ask_the_box(page, "7590")
        picture("palette")
        page.keyboard.press("Enter")
        page.wait_for_selector("h1:has-text('7590-VHVEG')")
        picture("customer")

        browser.begin_plan_change(page, "49.95", REASON)
        picture("change-plan")
        browser.confirm_plan_change(page)
        picture("subscription")

        page.goto(f"/admin/billing/payment/{story['payment'].pk}/change/")
        browser.begin_refund(page, "9.85", "Outage in March")
        picture("refund")
        browser.confirm_refund(page, "9.85")
        picture("payment")

        page.goto(f"/admin/billing/customer/{story['customer'].pk}/history/")
        page.wait_for_selector(f"text={REASON}")
        page.wait_for_selector("text=Outage in March")
        picture("timeline")
        page.goto("/admin/billing/customer/")
        picture("customers")

    browse(way)
    assert Subscription.objects.get(pk=story["subscription"].pk).pending_price == story["price"]
    refund = Payment.objects.get(pk=story["payment"].pk).refunds.get()
    assert (refund.status, refund.amount_minor) == ("succeeded", 985)


def test_has_a_list_as_a_file(browse, processes: Any, staff: User, story: dict[str, Any], tmp_path: Path):
    processes.worker()
    processes.relay()
    fetched = tmp_path / "fetched.csv"

    def way(page: Any, picture: Callable[[str], None]) -> None:
        sign_in(page, staff.email)
        page.goto("/admin/core/export/")
        page.wait_for_selector("text=No exports yet")
        picture("exports-empty")
        page.goto("/admin/billing/customer/?currency__exact=USD")
        picture("customers-to-export")
        page.click("a:has-text('Export'):not(nav a)")
        page.wait_for_selector("text=Make the file")
        page.fill("[name=reason]", "The yearly review of all customers")
        picture("export-form")
        page.click("text=Make the file")
        page.wait_for_selector("a[download]", timeout=60_000)  # the page shows by itself when it is there
        picture("exports")
        with page.expect_download() as download:
            page.click("a[download]")
        download.value.save_as(fetched)
        page.click("#result_list th a")
        page.wait_for_selector(".ch-figures")
        picture("export")

    browse(way)
    assert len(fetched.read_text("utf-8-sig").splitlines()) == 14


def test_shows_the_dark_side_and_the_empty_house(browse, staff: User):
    def way(page: Any, picture: Callable[[str], None]) -> None:
        sign_in(page, staff.email)
        page.wait_for_selector("text=No customers yet: import them")
        picture("dashboard-empty")
        page.goto("/admin/billing/customer/")
        page.wait_for_selector("text=No customers yet")
        picture("customers-empty")

    browse(way, scheme="dark")


def test_opens_a_pasted_id_at_once_and_copies_one(browse, staff: User, story: dict[str, Any]):
    def way(page: Any, picture: Callable[[str], None]) -> None:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        sign_in(page, staff.email)
        page.evaluate(f"navigator.clipboard.writeText('{story['invoice'].public_id}')")
        page.keyboard.press("/")
        page.keyboard.press("Control+v")
        page.wait_for_selector(f"h1:has-text('Invoice {story['invoice'].number}')")
        page.click(".ch-head [data-copy]")
        page.wait_for_selector(".ch-copy--done")
        assert page.evaluate("navigator.clipboard.readText()") == story["invoice"].public_id
        picture("invoice")

    browse(way)


def test_shows_a_refusal_and_keeps_what_was_typed(browse, staff: User, story: dict[str, Any]):
    def way(page: Any, picture: Callable[[str], None]) -> None:
        sign_in(page, staff.email)
        where = f"/admin/billing/subscription/{story['subscription'].pk}/do/suspend/"
        page.goto(where)
        page.fill("[name=reason]", "Chargeback")
        page.click("text=Continue")
        page.wait_for_selector("button[name=confirm]")
        meanwhile = page.context.new_page()
        meanwhile.goto(where)
        meanwhile.fill("[name=reason]", "Chargeback")
        meanwhile.click("text=Continue")
        meanwhile.click("button[name=confirm]")
        meanwhile.wait_for_selector("text=Access is suspended.")
        with page.expect_response(lambda reply: reply.request.method == "POST") as answered:
            page.click("button[name=confirm]")
        assert answered.value.status == 409
        page.wait_for_selector("[role=alert]")
        assert page.input_value("[name=reason]") == "Chargeback"
        picture("refusal")

    browse(way, expected="status of 409")  # Chromium notes the status of the answer as a fault
