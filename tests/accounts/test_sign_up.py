"""Signing up, proving the address, signing in."""

from __future__ import annotations

import io
import re

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from audit.models import Event
from core import jobs
from core.models import Job
from tests.cast import PASSWORD, new_person

pytestmark = pytest.mark.django_db

SIGN_UP = "/api/v1/auth/sign-up"
LOGIN = "/api/v1/auth/login"


def token_in(message: mail.EmailMessage) -> str:
    found = re.search(r"^Token: (\S+)$", message.body, re.MULTILINE)
    assert found, message.body
    return found[1]


def sent() -> list[mail.EmailMessage]:
    """Run what is queued and return the mails that went out since the last call."""
    jobs.drain()
    messages, mail.outbox[:] = list(mail.outbox), []
    return messages


def test_lets_somebody_in_once_the_address_is_proven(api):
    client = api()
    reply = client.post(SIGN_UP, {"email": "New@Example.com", "password": PASSWORD, "name": "Nina"})
    assert (reply.status_code, reply.json()) == (202, {"status": "verification_pending"})
    (message,) = sent()
    assert message.to == ["new@example.com"]

    pending = client.post(LOGIN, {"email": "new@example.com", "password": PASSWORD})
    assert (pending.status_code, pending.json()) == (202, {"status": "verification_pending"})

    proven = client.post("/api/v1/auth/verify-email", {"token": token_in(message)})
    assert (proven.status_code, proven.json()) == (200, {"status": "verified"})
    tokens = client.post(LOGIN, {"email": "NEW@example.com", "password": PASSWORD}).json()
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    assert len(tokens["access_token"]) <= 400
    client.carry(tokens["access_token"])
    assert client.get("/api/v1/me").json()["email"] == "new@example.com"


def test_says_the_same_about_a_known_address_and_tells_its_owner_by_mail(api, owner):
    known = api().post(SIGN_UP, {"email": owner.email.upper(), "password": PASSWORD, "name": "Mallory"})
    unknown = api().post(SIGN_UP, {"email": "nobody@example.com", "password": PASSWORD, "name": "Mallory"})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    subjects = {message.to[0]: message.subject for message in sent()}
    assert subjects[owner.email] == "You already have an account"
    owner.refresh_from_db()
    assert owner.name == "Olga Owner"


def test_counts_the_same_for_a_known_address_and_an_unknown_one(api, owner):
    def answers(email: str) -> list[int]:
        return [api().post(SIGN_UP, {"email": email, "password": PASSWORD}).status_code for _ in range(6)]

    assert answers(owner.email) == answers("nobody@example.com") == [202] * 5 + [429]


def test_confirms_only_the_password_of_the_last_sign_up(api):
    api().post(SIGN_UP, {"email": "v@example.com", "password": "mallory waits for this"})
    (first,) = sent()
    api().post(SIGN_UP, {"email": "v@example.com", "password": PASSWORD})
    refused = api().post("/api/v1/auth/verify-email", {"token": token_in(first)})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_mail_token")


def test_takes_a_mail_token_once(api):
    api().post(SIGN_UP, {"email": "v@example.com", "password": PASSWORD})
    token = token_in(sent()[0])
    assert api().post("/api/v1/auth/verify-email", {"token": token}).status_code == 200
    assert api().post("/api/v1/auth/verify-email", {"token": token}).status_code == 400


@pytest.mark.parametrize("token", ["x", "a.b.c", "WzEsMl0:x:y", "é"])
def test_refuses_a_made_up_mail_token(api, token):
    reply = api().post("/api/v1/auth/verify-email", {"token": token})
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_mail_token")


@pytest.mark.parametrize("password", ["short", "password123", "8402938471", "newperson@exa"])
def test_names_the_rules_that_a_password_breaks(api, password):
    reply = api().post(SIGN_UP, {"email": "newperson@example.com", "password": password})
    assert reply.status_code == 400
    assert {fault["pointer"] for fault in reply.json()["errors"]} == {"/password"}
    assert not User.objects.exists()


def test_takes_a_password_as_typed(api):
    password = "  <b>bold</b> & 'quoted' \\ "
    api().post(SIGN_UP, {"email": "v@example.com", "password": password})
    api().post("/api/v1/auth/verify-email", {"token": token_in(sent()[0])})
    assert api().post(LOGIN, {"email": "v@example.com", "password": password}).status_code == 200
    assert api().post(LOGIN, {"email": "v@example.com", "password": password.strip()}).status_code == 401


def test_puts_no_token_and_no_address_into_a_job(api):
    api().post(SIGN_UP, {"email": "v@example.com", "password": PASSWORD})
    (row,) = Job.objects.all()
    assert set(row.payload) == {"mail", "user_id"}
    assert "v@example.com" not in str(row.payload) + str(row.actor) + str(row.context)


def test_sends_a_mail_again_but_not_to_the_proven_or_unknown(api, owner):
    api().post(SIGN_UP, {"email": "v@example.com", "password": PASSWORD})
    sent()
    replies = [
        api().post("/api/v1/auth/resend-verification", {"email": address}) for address in (owner.email, "n@n.io")
    ]
    assert {(reply.status_code, reply.content) for reply in replies} == {(202, b'{"status":"verification_pending"}')}
    assert sent() == []


def test_resets_a_password_by_mail_and_ends_every_session(api, owner):
    signed_in = api(owner)
    for address in (owner.email, "nobody@example.com"):
        reply = api().post("/api/v1/auth/password-reset", {"email": address})
        assert (reply.status_code, reply.json()) == (202, {"status": "mail_sent"})
    (message,) = sent()
    body = {"token": token_in(message), "password": "a whole new password"}
    assert api().post("/api/v1/auth/password-reset/confirm", body).json() == {"status": "password_changed"}
    assert signed_in.get("/api/v1/me").status_code == 401
    assert api().post(LOGIN, {"email": owner.email, "password": PASSWORD}).status_code == 401
    assert api().sign_in(owner.email, "a whole new password").get("/api/v1/me").status_code == 200
    again = api().post("/api/v1/auth/password-reset/confirm", body)
    assert (again.status_code, again.json()["code"]) == (400, "invalid_mail_token")


@pytest.mark.parametrize("token", ["", "x", "x-y", "0-0-0", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-abc"])
def test_refuses_a_made_up_reset_token(api, owner, token):
    body = {"token": token, "password": "a whole new password"}
    assert api().post("/api/v1/auth/password-reset/confirm", body).status_code == 400


def test_keeps_the_present_session_when_the_password_is_changed(api, owner):
    here, elsewhere = api(owner), api(owner)
    change = {"current_password": PASSWORD, "new_password": "a whole new password"}
    wrong = here.post("/api/v1/auth/password/change", {**change, "current_password": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert here.post("/api/v1/auth/password/change", change).status_code == 200
    assert here.get("/api/v1/me").status_code == 200
    assert elsewhere.get("/api/v1/me").status_code == 401
    assert sent() == [], "who follows the log tells of it"
    assert Event.objects.filter(type="accounts.user.password_changed").count() == 1


def test_proves_nothing_for_a_person_of_another_name():
    person = new_person("Mixed.Case@Example.com")
    assert person.email == "mixed.case@example.com"
    assert User.objects.get_by_natural_key("MIXED.case@example.COM") == person


def test_tells_nobody_who_is_signed_in_whether_somebody_else_has_an_account(api, owner, stranger, other_organization):
    curious = api(stranger)
    here = {"X-Organization": other_organization.public_id}
    for email in (owner.email, "nobody@example.com"):
        for route in ("password-reset", "resend-verification"):
            assert curious.post(f"/api/v1/auth/{route}", {"email": email}, headers=here).status_code == 202
        body = {"email": email, "password": "correct horse battery staple"}
        assert curious.post("/api/v1/auth/sign-up", body, headers=here).status_code == 202
    assert curious.get("/api/v1/jobs").json()["data"] == []
    events = curious.get("/api/v1/audit/events", headers=here).json()["data"]
    assert {event["type"].split(".")[1] for event in events} <= {"organization", "membership", "session"}


def test_refreshes_and_signs_in_while_an_expired_token_is_sent_along(api, owner):
    client = api(owner)
    client.credentials(HTTP_AUTHORIZATION="Bearer what.has.expired")
    assert client.post("/api/v1/auth/refresh", {"refresh_token": client.refresh_token}).status_code == 200


def test_is_given_a_new_password_from_the_shell_which_ends_all_sessions(api, staff, monkeypatch, capsys):
    client, desk = api(staff), Client()
    desk.login(username=staff.email, password=PASSWORD)
    before = Event.objects.filter(type="accounts.user.password_set").count()

    def give(email: str, password: str, *words: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        call_command("changepassword", email, *words)

    why = ("--reason", "Lost the telephone")
    refused = [(staff.email, "a whole new password", (), 2), ("x@example.com", "a whole new password", why, 2)]
    for email, password, words, code in [*refused, (staff.email, "12345678", why, 1)]:
        with pytest.raises(CommandError) as error:
            give(email, password, *words)
        assert error.value.returncode == code
    assert client.get("/api/v1/me").status_code == 200
    give(staff.email.upper(), "a whole new password", *why)
    assert staff.email in capsys.readouterr().out
    assert client.get("/api/v1/me").status_code == 401
    assert desk.get("/admin/").status_code == 302
    staff.refresh_from_db()
    assert staff.check_password("a whole new password")
    event = Event.objects.get(type="accounts.user.password_set")
    assert (before, event.subject_id, event.data) == (0, staff.pk, {"reason": "Lost the telephone"})
