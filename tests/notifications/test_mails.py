"""E-mails by way of a real SMTP conversation: at least once, marked by one id, and stopped at one click."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings as product
from django.test import Client

from accounts.actors import actor_of_user
from audit.models import Event
from core import clock, jobs, outside
from core.actor import SYSTEM
from core.breaker import Breaker
from core.errors import NotFound
from core.jobs.commands import replay
from core.models import Job
from notifications.errors import KindIsMandatory, MailNotResendable
from notifications.models import Mail, Notification, NotificationPreferences
from notifications.preferences import Choice
from notifications.providers import mail as provider
from notifications.selectors import inbox as selectors
from notifications.selectors.preferences import choices_of
from notifications.services import inbox, mails, preferences
from notifications.states import KINDS, MailChoice
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db


def tell(person, kind: str = "billing", unique: str = "one", **values) -> Notification:
    given = {"subject": "News", "text": "So <it> is.", "url": "/admin/", **values}
    row = inbox.tell(actor=SYSTEM, person=person, kind=kind, unique=unique, **given)
    assert row is not None
    return row


def drain(times: int = 1) -> None:
    """Run what is due now and what each retry waits for."""
    for number in range(times):
        jobs.drain(clock.now() + timedelta(hours=number))


def test_sends_a_text_and_a_page_under_the_id_of_the_row(owner, sink) -> None:
    tell(owner)
    drain()
    (sent,) = sink.mails
    row = Mail.objects.get()
    assert (sent["To"], sent["Subject"], row.state, row.attempts) == (owner.email, "News", "sent", 1)
    assert sent["Message-ID"] == row.message_id
    assert sent["X-Countinghouse-Mail"] == row.public_id
    text = sent.get_body(("plain",)).get_content()
    page = sent.get_body(("html",)).get_content()
    assert "So <it> is." in text
    assert f"{product.PUBLIC_URL}/admin/" in text
    assert "So &lt;it&gt; is." in page
    assert "<it>" not in page


@pytest.mark.parametrize("fault", ["451 later", "hang up"])
def test_tries_again_with_the_same_id(fault, owner, sink) -> None:
    sink.answers = [fault, fault]
    tell(owner)
    drain(4)
    row = Mail.objects.get()
    assert (row.state, row.attempts) == ("sent", 3)
    assert set(sink.message_ids) == {row.message_id}
    assert len(sink.mails) == (3 if fault == "hang up" else 1)


def test_waits_a_growing_time_between_attempts(owner, sink) -> None:
    sink.answers = ["451 later"]
    tell(owner)
    now = clock.now()
    jobs.drain(now)
    job = Job.objects.get(kind=mails.JOB)
    assert now <= job.run_at <= now + timedelta(seconds=5)
    assert Mail.objects.get().reason


def test_gives_up_at_last_and_tells_staff_without_a_mail_about_mail(owner, staff, sink, follow, told) -> None:
    sink.answers = ["451 later"] * mails.ATTEMPTS
    tell(owner)
    outside_breaker_rests(mails.ATTEMPTS + 1)
    assert (Mail.objects.get().state, Job.objects.get(kind=mails.JOB).state) == ("failed", "dead")
    assert sink.mails == []
    follow("core.job.died")
    (note,) = told(staff)
    assert note.subject == "A job failed for good: notifications.send_mail"
    assert note.email == MailChoice.OFF
    assert Mail.objects.count() == 1
    later = clock.now() + timedelta(days=2)
    replay(actor=actor_of_user(staff), job=Job.objects.get(kind=mails.JOB), now=later)
    jobs.drain(later)
    assert (Mail.objects.get().state, sink.message_ids) == ("sent", [Mail.objects.get().message_id])


def outside_breaker_rests(rounds: int) -> None:
    for number in range(rounds):
        outside.provider("mail").breaker = Breaker(f"mail{number}")
        jobs.drain(clock.now() + timedelta(hours=number))


def test_gives_up_at_once_what_the_server_refuses_for_good(owner, sink) -> None:
    sink.answers = ["550 no such person"]
    tell(owner)
    drain(3)
    row = Mail.objects.get()
    assert (row.state, row.attempts, sink.asked) == ("failed", 1, 1)
    assert "550" in row.reason


def test_does_nothing_when_the_job_runs_again(owner, sink) -> None:
    tell(owner)
    drain()
    mail = Mail.objects.get()
    assert mails.send(mail_id=mail.pk, now=clock.now(), attempt=1) == "sent"
    assert len(sink.mails) == 1


@pytest.mark.parametrize("why", ["unproven", "shut out"])
def test_sends_none_to_who_has_no_proven_address(why, owner, sink) -> None:
    tell(owner)
    if why == "unproven":
        EmailAddress.objects.filter(user=owner).update(verified=False)
    else:
        owner.is_active = False
        owner.save()
    drain()
    assert (Mail.objects.get().state, sink.mails) == ("skipped", [])


def test_asks_the_choice_again_before_it_sends(owner, sink, wants) -> None:
    tell(owner)
    wants(owner, billing="off")
    drain()
    assert (Mail.objects.get().reason, sink.mails) == ("switched off meanwhile", [])


@pytest.mark.parametrize(
    ("kind", "email", "has_mail", "has_digest"),
    [
        ("security", "immediately", True, False),
        ("billing", "immediately", True, False),
        ("billing", "digest", False, True),
        ("billing", "off", False, False),
        ("members", "immediately", True, False),
        ("exports", "digest", False, True),
    ],
)
def test_does_as_was_chosen(kind, email, has_mail, has_digest, owner, wants) -> None:
    wants(owner, **{kind: email})
    row = tell(owner, kind)
    assert Mail.objects.exists() is has_mail
    assert (row.email == MailChoice.DIGEST) is has_digest


@pytest.mark.parametrize("kind", KINDS)
def test_keeps_every_choice_of_every_kind(kind, owner) -> None:
    """Each kind with and without the inbox, with each choice of mail: 6 rows of the matrix."""
    for number, (has_inbox, email) in enumerate(itertools.product((True, False), MailChoice)):
        wanted = {kind: Choice(has_inbox, email)}
        if KINDS[kind].is_mandatory and wanted[kind] != (True, MailChoice.IMMEDIATELY):
            with pytest.raises(KindIsMandatory):
                preferences.change(actor=actor_of_user(owner), choices=wanted, now=clock.now())
            continue
        preferences.change(actor=actor_of_user(owner), choices=wanted, now=clock.now())
        row = inbox.tell(actor=SYSTEM, person=owner, kind=kind, subject="A", text="", unique=str(number))
        if not has_inbox and email == MailChoice.OFF:
            assert row is None
            continue
        assert (row.is_in_inbox, row.email) == (has_inbox, email)
        assert Mail.objects.filter(notification=row).exists() is (email == MailChoice.IMMEDIATELY)


def test_mails_what_stands_in_no_inbox(owner, sink) -> None:
    choice = {"billing": Choice(False, MailChoice.IMMEDIATELY)}
    preferences.change(actor=actor_of_user(owner), choices=choice, now=clock.now())
    row = tell(owner)
    drain()
    assert row.is_in_inbox is False
    assert len(sink.mails) == 1


def test_sends_again_as_another_edition(owner, staff, sink) -> None:
    tell(owner)
    mail = Mail.objects.get()
    with pytest.raises(MailNotResendable):
        mails.resend(actor=actor_of_user(staff), mail=mail, now=clock.now())
    drain()
    mails.resend(actor=actor_of_user(staff), mail=mail, now=clock.now())
    drain()
    assert len(set(sink.message_ids)) == 2
    assert Event.objects.filter(type="notifications.mail.resent").count() == 1
    with pytest.raises(NotFound):
        mails.resend(actor=actor_of_user(owner), mail=mail, now=clock.now())


def test_tells_of_a_new_password_at_once(api, owner, sink, follow) -> None:
    reply = api(owner).post(
        "/api/v1/auth/password/change",
        {"current_password": PASSWORD, "new_password": "another horse entirely"},
    )
    assert reply.status_code == 200
    follow("accounts.user.password_changed")
    drain()
    assert [str(sent["Subject"]) for sent in sink.mails] == ["Your password was changed"]
    assert "Was it not you?" in sink.mails[0].get_body(("plain",)).get_content()


def test_tells_of_a_sign_in_with_a_program_that_was_not_seen_before(api, owner, follow, told) -> None:
    def sign_in(program: str) -> int:
        api(HTTP_USER_AGENT=program).sign_in(owner.email)
        return follow("accounts.session.started")

    assert [sign_in("Firefox"), sign_in("Firefox"), sign_in("curl/8"), sign_in("Firefox")] == [0, 0, 1, 0]
    (row,) = told(owner, kind="security")
    assert "curl/8" not in row.text
    assert "curl/8" in selectors.readable([row])[0].text


# --- stopping them ---------------------------------------------------------------------------------------------------


def stop_address(mail) -> str:
    return re.fullmatch("<(.*)>", mail["List-Unsubscribe"])[1].removeprefix(product.PUBLIC_URL)


def test_stops_at_one_click_and_not_by_looking(owner, sink) -> None:
    tell(owner)
    drain()
    (sent,) = sink.mails
    assert sent["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address, client = stop_address(sent), Client(enforce_csrf_checks=True)
    shown = client.get(address)
    assert (shown.status_code, "Stop these mails?" in shown.content.decode()) == (200, True)
    assert not NotificationPreferences.objects.exists()
    for _ in range(2):
        reply = client.post(address, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
        assert reply.status_code == 200
    assert choices_of([owner.pk])[owner.pk].of("billing") == (True, MailChoice.OFF)
    event = Event.objects.get(type="notifications.preferences.changed")
    assert (event.actor_type, event.organization_id) == ("anonymous", None)


def test_offers_no_way_to_stop_what_guards_an_account(owner, sink) -> None:
    tell(owner, "security")
    drain()
    assert sink.mails[0]["List-Unsubscribe"] is None
    with pytest.raises(KindIsMandatory):
        preferences.unsubscribe(person_id=owner.pk, kind="security", now=clock.now())


@pytest.mark.parametrize("method", ["get", "post"])
def test_takes_no_link_that_is_not_ours(method, owner) -> None:
    good = provider.unsubscribe_address(owner.pk, "billing").removeprefix(product.PUBLIC_URL)
    assert getattr(Client(), method)(good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1]).status_code == 404
    assert getattr(Client(), method)("/mail/stop/nonsense").status_code == 404
    mandatory = provider.unsubscribe_address(owner.pk, "security").removeprefix(product.PUBLIC_URL)
    assert Client().post(mandatory).status_code == 404
