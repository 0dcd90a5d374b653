"""The bell, the inbox and a mail as they look in a real browser; it leaves pictures behind."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail as outbox
from django.db import transaction

from core import jobs
from core.actor import SYSTEM
from core.events import record
from core.ids import new_id
from core.jobs.events import JOB_DIED
from notifications.models import Notification
from notifications.services import inbox, mails
from tests.support import browser
from tests.support.browser import PHONE, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), browser.needs_chromium]


@pytest.fixture
def told(staff, follow) -> None:
    """Two dead jobs, and an export that somebody asked for."""
    with transaction.atomic():
        for kind in ("billing.collect_invoice", "core.export"):
            job = jobs.enqueue(mails.JOB, {"mail_id": str(new_id())}, actor=SYSTEM)
            record(
                JOB_DIED, actor=SYSTEM, subject=job, data={"kind": kind, "attempts": 3, "code": "provider_timed_out"}
            )
    follow()


def test_reads_the_inbox_from_the_bell(processes, staff, told) -> None:
    def way(page: Any, picture: browser.Picture) -> None:
        sign_in(page, staff.email)
        assert page.inner_text(".ch-bell__count") == "2"
        page.click(".ch-bell")
        page.wait_for_selector("text=A job failed for good: core.export")
        picture("inbox")
        page.click("button:has-text('A job failed for good: core.export')")
        page.wait_for_selector("h1:has-text('notifications.send_mail')")
        assert page.inner_text(".ch-bell__count") == "1"
        page.click(".ch-bell")
        page.click("text=Mark all as read")
        page.wait_for_selector("text=Everything is read")
        assert page.locator(".ch-bell__count").count() == 0
        picture("inbox-empty")

    url = processes.web().url
    browser.go(url, way)
    assert not Notification.objects.filter(person=staff, read_at=None).exists()

    def dark(page: Any, picture: browser.Picture) -> None:
        sign_in(page, staff.email)
        page.goto("/admin/inbox/?show=all")
        picture("inbox-phone-dark")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    browser.go(url, dark, scheme="dark", size=PHONE)


def test_shows_a_mail_and_a_page_to_stop(processes, staff, told, wants) -> None:
    wants(staff, operations="immediately")
    inbox.tell(
        actor=SYSTEM, person=staff, kind="operations", subject="Plain news", text="First.\n\nSecond.", unique="p"
    )
    with_template = Notification.objects.filter(person=staff, template="core.job.died").latest("id")
    mails.queue([with_template])
    outbox.outbox.clear()
    jobs.drain()
    pages = [str(message.alternatives[0][0]) for message in outbox.outbox]
    stop = next(message.extra_headers["List-Unsubscribe"] for message in outbox.outbox if message.alternatives)

    def way(page: Any, picture: browser.Picture) -> None:
        for number, content in enumerate(pages):
            page.set_content(content)
            picture(f"mail-{number}")
        page.goto(stop.strip("<>").replace("http://localhost:8000", url))
        picture("mail-stop")
        page.click("text=Stop them")
        page.wait_for_selector("text=No more mails of this kind")

    url = processes.web().url
    assert len(pages) >= 2
    browser.go(url, way, expected="404")  # the page of a mail has no icon of its own
