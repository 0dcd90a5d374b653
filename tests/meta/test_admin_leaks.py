"""Every address of the admin and every command in it, asked by those who are no staff: they are sent to the sign-in
and told nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.models import Organization, User
from core.admin import EntityAdmin
from tests.billing import factories
from tests.cast import new_person
from tests.meta.company import Company, company

pytestmark = pytest.mark.django_db
# What is there for whoever is not signed in: the sign-in itself, the words of its scripts, and what leads to it.
OPEN = {"login", "logout", "jsi18n"}
# Tables whose commands are not asked for: of the installation, with nothing of an organisation's.
ROWLESS = {"schedule", "export", "follower", "mail"}


@pytest.fixture
def ours(organization: Organization, owner: User) -> Company:
    return company(organization, owner, factories.entity())


def routes() -> Iterator[URLPattern]:
    """Walk the addresses of the admin, those of its tables too."""
    resolver = next(one for one in get_resolver().url_patterns if getattr(one, "app_name", "") == "admin")

    def walk(found: Any) -> Iterator[URLPattern]:
        for one in found.url_patterns:
            if isinstance(one, URLResolver):
                yield from walk(one)
            else:
                yield one

    yield from walk(resolver)


def row_of(ours: Company, model: Any) -> Any:
    """Return the row of ours in a table, or any other that stands in it."""
    return next((row for row in ours.rows.values() if type(row) is model), None) or model._default_manager.first()


def addresses(ours: Company) -> dict[str, str]:
    """Return every address with ids of ours filled in, by its name."""
    tables = {f"{model._meta.app_label}_{model._meta.model_name}_": model for model in admin.site._registry}
    found = {}
    for route in routes():
        if route.name is None or route.name == "view_on_site":
            continue  # other ways to the page of an object, which stands here itself
        model = next((model for start, model in tables.items() if route.name.startswith(start)), None)
        row = row_of(ours, model) if model else None
        key = str((row or ours.rows["customer"]).pk)
        values = {"app_label": "billing", "name": "cancel"}
        names = route.pattern.converters or route.pattern.regex.groupindex
        filled = {name: values.get(name, key) for name in names}
        found[route.name] = reverse(f"admin:{route.name}", kwargs=filled)
    return found


def tables_with_commands() -> dict[Any, EntityAdmin]:
    return {
        model: model_admin
        for model, model_admin in admin.site._registry.items()
        if isinstance(model_admin, EntityAdmin) and model_admin.commands
    }


def commands(ours: Company) -> dict[str, str]:
    """Return the address of each command on a row of ours."""
    return {
        f"{model._meta.model_name} {command.name}": model_admin.command_url(row, command)
        for model, model_admin in tables_with_commands().items()
        if (row := row_of(ours, model)) is not None
        for command in model_admin.commands
    }


def test_has_a_row_for_each_table_with_commands(ours: Company) -> None:
    lacking = {model._meta.model_name for model in tables_with_commands() if row_of(ours, model) is None}
    assert lacking <= ROWLESS, f"put a row into `company` in tests/meta/company.py: {sorted(lacking - ROWLESS)}"


# Pages that every staff member has: one's own, and what is found of what one may see.
OF_ALL_STAFF = {
    "index", "search", "login", "logout", "jsi18n", "password_change", "password_change_done", "inbox", "find",
    "autocomplete", "assistant", "assistant_ask", "assistant_show", "assistant_answer", "assistant_feedback",
    "export_download",
}  # fmt: skip


def test_shows_nothing_to_staff_whose_group_was_given_nothing(ours: Company) -> None:
    person = new_person("carla@countinghouse.example", is_staff=True)
    person.groups.add(Group.objects.create(name="Clerks"))
    User.objects.filter(pk=person.pk).update(is_superuser=False)
    client, wrong = Client(), []
    client.force_login(person)
    for name, address in {**addresses(ours), **commands(ours)}.items():
        for method in ("get", "post"):
            if name == "logout":
                continue
            reply = getattr(client, method)(address)
            if reply.status_code not in (403, 404, 405) and name not in OF_ALL_STAFF:
                wrong.append((method, name, address, reply.status_code))
            told = reply.content.decode() + str(dict(reply.headers))
            if seen := [mark for mark in ours.marks if mark in told and mark not in address]:
                wrong.append((method, name, "shows", seen))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("who", ["anonymous", "member", "owner of the row"])
def test_sends_everybody_who_is_no_staff_to_the_sign_in(who: str, ours: Company, team_mate: User) -> None:
    client = Client()
    if who != "anonymous":
        client.force_login(team_mate if who == "member" else ours.owner)
    asked = {**addresses(ours), **commands(ours)}
    wrong = []
    for name, address in asked.items():
        for method in ("get", "post"):
            if name in OPEN:
                continue
            reply = getattr(client, method)(address)
            is_sent = reply.status_code == 302 and reply["Location"].startswith("/admin/login/?next=")
            if not is_sent:
                wrong.append((method, name, address, reply.status_code))
            told = reply.content.decode() + str(dict(reply.headers))
            if seen := [mark for mark in ours.marks if mark in told and mark not in address]:
                wrong.append((method, name, "shows", seen))
    assert not wrong, "\n".join(map(str, wrong))
    assert len(asked) > 120
