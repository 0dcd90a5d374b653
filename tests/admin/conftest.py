from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from core.admin.html import admin_url


@pytest.fixture
def desk(staff: User) -> Client:
    """A browser at which a staff member has signed in."""
    client = Client()
    client.force_login(staff)
    return client


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("name") and given.get("type") == "hidden":
            self.found[str(given["name"])] = given.get("value") or ""


def hidden_fields(page: HttpResponse) -> dict[str, str]:
    """What the form of a page sends along unseen."""
    parser = _Fields()
    parser.feed(page.content.decode())
    return {name: value for name, value in parser.found.items() if name != "csrfmiddlewaretoken"}


@pytest.fixture
def give(desk: Client) -> Callable[..., HttpResponse]:
    """`give(object, "cancel", when="now", reason="…")` goes through form, preview and confirmation."""

    def command(obj: Any, name: str, *, confirm: bool = True, **answers: Any) -> HttpResponse:
        address = admin_url(obj).replace("/change/", f"/do/{name}/")
        form = desk.get(address)
        if form.status_code != 200:
            return form
        preview = desk.post(address, {**hidden_fields(form), **answers})
        if not confirm or b'name="confirm"' not in preview.content:
            return preview
        return desk.post(address, {**hidden_fields(preview), "confirm": "yes"}, follow=True)

    return command
