"""What accounts writes down: every change once, nothing personal in clear, every refusal."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.models import ApiKey, RefreshToken, Session, User
from accounts.services import sessions
from audit.models import Event
from core.clock import now
from project.management.commands.dev import STAFF_EMAIL, fresh_staff_password
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db


def everything_written() -> str:
    return "".join(str((event.type, event.before, event.after, event.data)) for event in Event.objects.order_by("id"))


def types() -> list[str]:
    return [event.type for event in Event.objects.order_by("id")]


def test_keeps_names_and_addresses_out_of_the_clear_text_of_the_log(api, owner, organization, team_mate):
    client = api(owner)
    client.patch("/api/v1/me", {"name": "Olga Newname"})
    path = f"/api/v1/organizations/{organization.public_id}/invitations"
    client.post(path, {"email": "ivy@secret.example", "role": "member"})
    api().post("/api/v1/auth/sign-up", {"email": "nina@secret.example", "password": PASSWORD, "name": "Nina Clear"})
    written = everything_written()
    for personal in ("olga@", "Newname", "Tom Mate", "ivy@", "nina@", "Nina", "127.0.0.1"):
        assert personal not in written, personal
    assert "accounts.user.signed_up" in types()


def test_writes_no_secret_down(api, owner, organization):
    client = api(owner)
    path = f"/api/v1/organizations/{organization.public_id}/api-keys"
    key = client.post(path, {"name": "robot", "scopes": ["accounts.*"]}).json()["key"]
    written = everything_written()
    for secret in (PASSWORD, key, key.split("_", 3)[3], client.access_token, client.refresh_token):
        assert secret not in written


def test_records_a_refused_sign_in(api, owner):
    api().post("/api/v1/auth/login", {"email": owner.email, "password": "wrong guess"})
    refusal = Event.objects.get(type="core.command.refused")
    assert refusal.data["command"] == "accounts.session.start"
    assert refusal.data["code"] == "invalid_credentials"
    assert "wrong guess" not in str(refusal.data)


def test_records_a_refused_sign_in_to_the_admin(client, staff):
    client.post("/admin/login/", {"username": staff.email, "password": "wrong guess"})
    assert Event.objects.get(type="core.command.refused").data["command"] == "accounts.user.sign_in_to_admin"


def test_does_not_turn_a_flood_of_guesses_into_a_flood_of_events(api, owner):
    for _ in range(12):
        api().post("/api/v1/auth/login", {"email": owner.email, "password": "wrong guess"})
    assert types().count("core.command.refused") == 5


def test_records_a_stolen_token(api, owner):
    client, moment = api(owner), now()
    sessions.refresh(refresh_token=client.refresh_token, now=moment)
    with pytest.raises(Exception, match="used before"):
        sessions.refresh(refresh_token=client.refresh_token, now=moment + timedelta(seconds=11))
    ended = Event.objects.get(type="accounts.session.ended")
    assert ended.data["reason"] == "token_reused"


def test_keeps_no_reply_with_a_secret_for_an_idempotency_key(api, owner, organization):
    client = api(owner)
    path = f"/api/v1/organizations/{organization.public_id}/api-keys"
    body = {"name": "robot", "scopes": ["accounts.*"]}
    first = client.post(path, body, headers={"Idempotency-Key": "k1"})
    again = client.post(path, body, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 409)
    assert "key" not in again.json()
    assert ApiKey.objects.count() == 1


def test_makes_one_organisation_for_one_idempotency_key(api, owner):
    client = api(owner)
    replies = [
        client.post("/api/v1/organizations", {"name": "Twice"}, headers={"Idempotency-Key": "k2"}) for _ in range(2)
    ]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert replies[0].content == replies[1].content
    assert types().count("accounts.organization.created") == 1


def test_forgets_sessions_a_month_after_their_end(api, owner):
    api(owner)
    api(owner)
    Session.objects.filter(pk=Session.objects.first().pk).update(ended_at=now())
    assert sessions.forget_old(now() + timedelta(days=29)) == 0
    assert sessions.forget_old(now() + timedelta(days=31)) == 1
    assert sessions.forget_old(now() + timedelta(days=38)) == 1
    assert not RefreshToken.objects.exists()


def test_lets_a_superuser_made_by_the_command_sign_in_to_the_api(api):
    user = User.objects.create_superuser("root@example.com", PASSWORD)
    assert Event.objects.filter(type="accounts.user.created", subject_id=user.pk).exists()
    assert api().sign_in("root@example.com").get("/api/v1/me").json()["is_staff"] is True


def test_a_new_password_at_each_dev_leaves_the_version_alone(api):
    fresh_staff_password()
    version = User.objects.get(email=STAFF_EMAIL).version
    password = fresh_staff_password()
    user = User.objects.get(email=STAFF_EMAIL)
    assert (user.version, user.check_password(password)) == (version, True)
