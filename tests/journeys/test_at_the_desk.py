"""A payment fails, and staff deal with it at the desk: find the customer, ask the assistant, have a list as a file,
send a webhook again. In a real browser, against all processes; the pictures are those of the docs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit.models import Event
from notifications.models import WebhookDelivery
from tests.journeys.house import STAFF, House, ok, soon
from tests.journeys.test_everything_follows import FAILED, GRACE, fail_to_pay, member_of
from tests.support import browser
from tests.support.receiver import Came, Receiver

pytestmark = [
    pytest.mark.browser,
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    browser.needs_chromium,
]
REASON = "Their receiver lost it; asked for on the phone"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def failed(house: House, receiver: Receiver) -> dict[str, Any]:
    """An organisation whose card was declined, told by webhook; returns the invoice."""
    with member_of(house, GRACE, "Compilers") as grace:
        body = {"url": f"{receiver.url}/hook", "event_types": ["billing.*"], "description": "Their books"}
        ok(grace.post("/webhooks/endpoints", json=body), 201)
        invoice, _ = fail_to_pay(grace)
        soon(lambda: ok(grace.get("/search", params={"q": invoice["number"]}))["data"], what="the index")
    soon(lambda: told_of_it(receiver, 1), what="the webhook")
    return invoice


def told_of_it(receiver: Receiver, times: int) -> list[Came]:
    """Return how the receiver was told of the failed payment, once it was told so often."""
    came = [one for one in receiver.came if one.json["type"] == FAILED]
    return came if len(came) >= times else []


def test_is_found_explained_taken_away_and_sent_again(
    house: House, receiver: Receiver, failed: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "customers.csv"

    def way(page: Any, picture: browser.Picture) -> None:
        browser.sign_in(page, STAFF)
        find_the_customer(page, picture)
        ask_the_assistant(page, picture, failed["number"])
        take_a_list_away(page, picture, file)
        send_again(page, picture)

    browser.go(house.url, way, patience=30)

    lines = file.read_text("utf-8-sig").splitlines()
    assert lines[0].startswith("Name,E-mail,")
    assert lines[1].startswith("Compilers Inc.,bills@compilers.example,")
    ids = [one.id for one in soon(lambda: told_of_it(receiver, 2), what="the replay")]
    assert len(set(ids)) == 1  # the same message, sent twice
    assert WebhookDelivery.objects.filter(event_type=FAILED).count() == 1
    recorded = set(Event.objects.filter(actor_type="staff").values_list("type", flat=True))
    assert {"core.export.requested", "core.export.downloaded", "ai.question.answered"} <= recorded


def find_the_customer(page: Any, picture: browser.Picture) -> None:
    browser.ask_the_box(page, "compil")
    picture("admin-palette")
    page.click(".ch-palette__one:has-text('Compilers Inc.')")
    page.wait_for_selector("h1:has-text('Compilers Inc.')")
    page.wait_for_selector(".ch-state:has-text('failed')")
    picture("admin-customer-failed")


def ask_the_assistant(page: Any, picture: browser.Picture, number: str) -> None:
    page.click("nav a:has-text('Assistant')")
    page.fill("[name=question]", f"What is the status of invoice {number}?")
    page.click("#ch-ask button[type=submit]")
    page.wait_for_selector("#ch-answer:not([hidden])")
    page.wait_for_selector(f"#ch-answer >> text=Invoice {number} for Compilers Inc. over $49.00: open")
    picture("admin-assistant")


def take_a_list_away(page: Any, picture: browser.Picture, file: Path) -> None:
    page.goto("/admin/billing/customer/")
    picture("admin-export-list")
    page.click(".ch-export")
    page.fill("[name=reason]", "The yearly review of all customers")
    picture("admin-export-form")
    page.click("text=Make the file")
    page.wait_for_selector("a[download]")  # the page shows by itself when it is there
    picture("admin-exports")
    for _ in range(20):  # the relay tells the inbox, and the bell says so
        page.goto("/admin/inbox/")
        if page.locator(".ch-inbox__subject").count():
            break
        page.wait_for_timeout(500)
    picture("admin-inbox")
    with page.expect_download() as download:
        page.click(".ch-inbox__subject")
    assert re.fullmatch(r"customers-[\d-]+\.csv", download.value.suggested_filename)
    download.value.save_as(file)


def send_again(page: Any, picture: browser.Picture) -> None:
    page.goto("/admin/notifications/webhookdelivery/")
    picture("admin-webhook-deliveries")
    page.click(f"#result_list a:has-text('{FAILED}')")
    page.wait_for_selector("text=What is sent")
    picture("admin-webhook-delivery")
    page.click(".ch-commands >> text=Send again")
    page.fill("[name=reason]", REASON)
    page.click("text=Continue")
    page.wait_for_selector("text=What will happen")
    picture("admin-webhook-replay")
    page.click("button[name=confirm]")
    page.wait_for_selector("text=It is on its way.")
