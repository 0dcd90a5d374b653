"""The admin's sign-in and its pages of people and organisations."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client

from accounts.models import ApiKey, Invitation, Membership, Organization, Session, User
from audit.models import Event
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db
SIGN_IN = "/admin/login/"


@pytest.fixture
def desk(staff) -> Client:
    """The browser of a staff member, signed in through the form."""
    browser = Client()
    reply = browser.post(SIGN_IN, {"username": staff.email, "password": PASSWORD, "next": "/admin/"})
    assert reply.status_code == 302, reply.content
    return browser


def test_records_who_signs_in_to_the_admin(desk, staff):
    event = Event.objects.get(type="accounts.user.signed_in_to_admin")
    assert (event.actor_id, event.subject_id) == (staff.pk, staff.pk)


def test_lets_nobody_in_who_is_not_staff(owner):
    browser = Client()
    reply = browser.post(SIGN_IN, {"username": owner.email, "password": PASSWORD})
    assert reply.status_code == 200
    assert browser.get("/admin/").status_code == 302


def test_says_so_when_somebody_is_locked_out(staff):
    browser = Client()
    for _ in range(5):
        assert browser.post(SIGN_IN, {"username": staff.email, "password": "wrong"}).status_code == 200
    reply = browser.post(SIGN_IN, {"username": staff.email, "password": PASSWORD})
    assert reply.status_code == 200
    assert "Too many failed attempts" in reply.content.decode()


def test_shares_its_lock_out_with_the_api(staff, api):
    for _ in range(5):
        api().post("/api/v1/auth/login", {"email": staff.email, "password": "wrong"})
    reply = Client().post(SIGN_IN, {"username": staff.email, "password": PASSWORD})
    assert "Too many failed attempts" in reply.content.decode()


@pytest.mark.parametrize("model", [User, Organization, Membership, Invitation, Session, ApiKey])
def test_has_a_list_of_everything(desk, model):
    assert desk.get(f"/admin/accounts/{model._meta.model_name}/").status_code == 200


def test_shows_a_person_and_an_organisation_with_what_belongs_to_them(desk, owner, organization, api):
    api(owner)
    person = desk.get(f"/admin/accounts/user/{owner.pk}/change/")
    assert person.status_code == 200
    assert organization.name in person.content.decode()
    tenant = desk.get(f"/admin/accounts/organization/{organization.public_id}/change/")
    assert owner.email in tenant.content.decode()


def test_deactivates_a_person_with_a_reason(desk, owner, staff, api):
    client = api(owner)
    path = f"/admin/accounts/user/{owner.pk}/do/deactivate/"
    assert desk.get(path).status_code == 200
    preview = desk.post(path, {"reason": "asked to"})
    assert preview.status_code == 200
    reply = desk.post(path, {"reason": "asked to", "confirm": "1", "token": "t1"})
    assert reply.status_code == 302
    assert client.get("/api/v1/me").status_code == 401
    event = Event.objects.get(type="accounts.user.deactivated")
    assert event.actor_id == staff.pk


def test_shows_nothing_of_allauth_and_of_django_the_groups_of_staff(desk):
    registered = {model._meta.label for model in admin.site._registry}
    assert {label for label in registered if label.startswith(("account.", "auth."))} == {"auth.Group"}


def test_changes_ones_own_password_and_ends_the_sessions_of_the_api(desk, staff, api):
    client = api(staff)
    body = {"old_password": PASSWORD, "new_password1": "a whole new password", "new_password2": "a whole new password"}
    assert desk.get("/admin/password_change/").status_code == 200
    assert desk.post("/admin/password_change/", body).status_code == 302
    assert desk.get("/admin/").status_code == 200, "the browser stays signed in"
    assert client.get("/api/v1/me").status_code == 401
    assert Event.objects.filter(type="accounts.user.password_changed").count() == 1


def test_shows_no_secret(desk, organization, owner):
    from accounts.actors import actor_of_user
    from accounts.services import api_keys
    from core.clock import now

    key, text = api_keys.create(
        actor=actor_of_user(owner), organization=organization, name="robot", scopes=["accounts.*"], now=now()
    )
    page = desk.get(f"/admin/accounts/apikey/{key.pk}/change/").content.decode()
    assert text.split("_", 3)[3] not in page
    assert key.secret_hash.hex() not in page
