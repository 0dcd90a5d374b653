"""The inbox of staff, and what support sees of notifications and mails."""

from __future__ import annotations

import html

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from audit.models import Event
from core import jobs
from core.actor import SYSTEM
from core.admin.html import admin_url
from notifications.models import Mail, Notification
from notifications.services import inbox

pytestmark = pytest.mark.django_db


def tell(person: User, unique: str = "one", **values) -> Notification:
    given = {"kind": "operations", "subject": f"News {unique}", "text": "So <it> is.", "url": "/admin/", **values}
    row = inbox.tell(actor=SYSTEM, person=person, unique=unique, **given)
    assert row is not None
    return row


def page(client: Client, query: str = "") -> str:
    reply = client.get(reverse("admin:inbox") + query)
    assert reply.status_code == 200
    return reply.content.decode()


def act(client: Client, **fields: str):
    return client.post(reverse("admin:inbox"), fields)


def test_says_so_when_there_is_nothing(desk) -> None:
    assert "Everything is read" in page(desk)
    assert "Nobody has told you anything yet" in page(desk, "?show=all")
    assert "ch-bell__count" not in page(desk)


def test_counts_at_the_bell_of_every_page(desk, staff, owner) -> None:
    tell(staff, "a")
    tell(staff, "b")
    tell(owner, "c")
    shown = desk.get(reverse("admin:core_job_changelist")).content.decode()
    assert '<b class="ch-bell__count">2</b>' in shown


def test_shows_ones_own_and_marks_them(desk, staff, owner) -> None:
    row, other = tell(staff, "mine"), tell(owner, "other")
    shown = page(desk)
    assert "News mine" in shown
    assert "News other" not in shown
    assert "So &lt;it&gt; is." in shown
    assert act(desk, do="mark_read", id=row.public_id).status_code == 302
    assert "News mine" not in page(desk)
    assert "Mark as unread" in page(desk, "?show=all")
    act(desk, do="mark_unread", id=row.public_id)
    assert act(desk, do="open", id=row.public_id)["Location"] == "/admin/"
    assert "News mine" not in page(desk)
    assert act(desk, do="mark_read", id=other.public_id).status_code == 404
    assert Event.objects.filter(type="notifications.notification.read", actor_id=staff.pk).count() == 2


@pytest.mark.parametrize("fields", [{}, {"do": "mark_read"}, {"do": "erase", "id": "ntf_x"}, {"do": "open", "id": "x"}])
def test_refuses_forms_that_are_not_of_the_inbox(fields, desk) -> None:
    assert act(desk, **fields).status_code == 400
    assert desk.get(reverse("admin:inbox") + "?before=nonsense").status_code == 400


def test_marks_all_and_pages(desk, staff) -> None:
    for number in range(32):
        tell(staff, f"{number:02}")
    shown = page(desk)
    assert "News 31" in shown
    assert "News 01" not in shown
    assert "Older" in shown
    older = html.unescape(shown.split('<a class="ch-button" href="?before=')[1].split('"')[0])
    assert "News 01" in page(desk, f"?before={older}")
    act(desk, do="mark_all_read")
    assert not Notification.objects.filter(read_at=None).exists()


def test_lets_nobody_in_but_staff(owner) -> None:
    client = Client()
    assert client.get(reverse("admin:inbox")).status_code == 302
    client.force_login(owner)
    assert client.get(reverse("admin:inbox")).status_code == 302


def test_shows_support_what_became_of_a_mail_and_sends_it_again(desk, give, owner, sink) -> None:
    row = tell(owner, kind="billing", url="")
    sink.answers = ["550 no such person"]
    jobs.drain()
    mail = Mail.objects.get()
    shown = desk.get(admin_url(mail)).content.decode()
    assert "The mail server refuses this mail (550)." in shown
    assert "Send again" in shown
    assert "News one" in desk.get(admin_url(row)).content.decode()
    give(mail, "resend", reason="They asked for it.")
    jobs.drain()
    mail.refresh_from_db()
    assert (mail.state, mail.edition, len(sink.mails)) == ("sent", 2, 1)


@pytest.mark.parametrize("model", ["notification", "mail"])
def test_asks_as_often_for_few_as_for_many(model, desk, owner) -> None:
    counted = []
    desk.get(reverse("admin:index"))  # the figures of the menu are remembered
    for upto in (5, 50):
        for number in range(upto):
            tell(owner, f"{upto}-{number}", kind="billing")
        with CaptureQueriesContext(connection) as queries:
            assert desk.get(reverse(f"admin:notifications_{model}_changelist")).status_code == 200
        counted.append(len(queries))
    assert counted[0] == counted[1], counted
