"""Staff rights: granted and revoked with a reason, in force at once, and never lost altogether."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from accounts.actors import actor_of_user
from accounts.errors import LastStaffMember, NotFitForStaff, OwnStaffRights
from accounts.models import User
from accounts.services import staff as rights
from accounts.services import users
from audit.models import Event
from core.actor import SYSTEM
from core.clock import now
from core.errors import Forbidden
from tests.cast import PASSWORD, new_person


@pytest.fixture
def colleague(db: None) -> User:
    return new_person("cora@house.example", is_staff=True)


@pytest.mark.django_db
def test_is_refused_by_the_api_and_the_admin_at_once(api, staff, colleague):
    client, browser = api(colleague), Client()
    assert browser.login(username=colleague.email, password=PASSWORD)
    assert client.get("/api/v1/jobs").status_code == 200
    assert browser.get("/admin/").status_code == 200
    rights.revoke(actor=actor_of_user(staff), user=colleague, reason="Left the company", now=now())
    assert client.get("/api/v1/jobs").status_code == 401
    assert browser.get("/admin/").status_code == 302
    event = Event.objects.get(type="accounts.user.staff_rights_revoked")
    assert (event.actor_id, event.data) == (staff.pk, {"reason": "Left the company"})
    rights.grant(actor=actor_of_user(staff), user=colleague, reason="Came back", now=now())
    assert browser.get("/admin/").status_code == 302, "an old session does not come back to life"


@pytest.mark.django_db
def test_works_at_once_in_a_session_that_stands(api, staff, owner):
    client = api(owner)
    assert client.get("/api/v1/me").json()["is_staff"] is False
    rights.grant(actor=actor_of_user(staff), user=owner, reason="Joins support", now=now())
    assert client.get("/api/v1/me").json()["is_staff"] is True
    rights.grant(actor=actor_of_user(staff), user=owner, reason="Joins support", now=now())
    assert Event.objects.filter(type="accounts.user.staff_rights_granted").count() == 1


@pytest.mark.django_db
def test_refuses_ones_own_and_the_last(staff, colleague):
    with pytest.raises(OwnStaffRights):
        rights.revoke(actor=actor_of_user(staff), user=staff, reason="", now=now())
    rights.revoke(actor=actor_of_user(staff), user=colleague, reason="", now=now())
    with pytest.raises(LastStaffMember):
        rights.revoke(actor=SYSTEM, user=staff, reason="", now=now())
    with pytest.raises(LastStaffMember):
        users.deactivate(actor=SYSTEM, user=staff, reason="", now=now())
    staff.refresh_from_db()
    assert (staff.is_staff, staff.is_active) == (True, True)


@pytest.mark.django_db
def test_refuses_whoever_is_not_proven_deactivated_or_not_staff_themselves(staff, owner, stranger):
    with pytest.raises(Forbidden):
        rights.grant(actor=actor_of_user(owner), user=owner, reason="", now=now())
    users.sign_up(actor=SYSTEM, email="ceo@house.example", password=PASSWORD, now=now())
    with pytest.raises(NotFitForStaff):
        rights.grant(actor=SYSTEM, user=User.objects.get(email="ceo@house.example"), reason="", now=now())
    users.deactivate(actor=SYSTEM, user=stranger, reason="", now=now())
    with pytest.raises(NotFitForStaff):
        rights.grant(actor=SYSTEM, user=stranger, reason="", now=now())


@pytest.mark.django_db(transaction=True)
def test_keeps_one_of_two_who_shut_each_other_out(staff, colleague):
    barrier = threading.Barrier(2)
    refused: list[Exception] = []

    def shut_out(actor: User, user: User) -> None:
        barrier.wait()
        try:
            rights.revoke(actor=actor_of_user(actor), user=user, reason="", now=now())
        except LastStaffMember as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=shut_out, args=pair) for pair in ((staff, colleague), (colleague, staff))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert User.objects.filter(is_staff=True).count() == 1


@pytest.mark.django_db
def test_is_a_command_of_the_admin(staff, owner):
    desk = Client()
    desk.login(username=staff.email, password=PASSWORD)
    path = f"/admin/accounts/user/{owner.pk}/do/grant-staff-rights/"
    assert "Make a staff member" in desk.get(f"/admin/accounts/user/{owner.pk}/change/").content.decode()
    assert desk.post(path, {"reason": "Joins", "confirm": "1", "token": "a" * 32}).status_code == 302
    owner.refresh_from_db()
    assert owner.is_staff
    mine = f"/admin/accounts/user/{staff.pk}/do/revoke-staff-rights/"
    assert desk.post(mine, {"reason": "Tired", "confirm": "1", "token": "b" * 32}).status_code == 409


@pytest.mark.django_db
def test_is_a_command_of_the_shell(capsys, staff, owner):
    def told(*words: str) -> Any:
        call_command("staff", *words, "--json")
        return json.loads(capsys.readouterr().out)

    assert [row["email"] for row in told("list")] == [staff.email]
    assert told("grant", owner.email, "--reason", "Joins", "--yes")["is_staff"] is True
    assert told("revoke", staff.email, "--reason", "Leaves", "--yes")["is_staff"] is False
    for words, code in (
        (("revoke", owner.email, "--reason", "Leaves", "--yes"), 1),
        (("grant", staff.email, "--yes"), 2),
        (("grant", staff.email, "--reason", "Comes back"), 2),
        (("grant", "nobody@example.com", "--reason", "Who?", "--yes"), 2),
    ):
        with pytest.raises(CommandError) as refusal:
            call_command("staff", *words)
        assert refusal.value.returncode == code
    assert Event.objects.filter(type="core.command.refused").count() == 1
