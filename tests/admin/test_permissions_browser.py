"""Permissions at the desk in a real browser: why, what if, a tuple, a model with a fault; it leaves pictures behind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from accounts.models import Organization, User
from accounts.permissions.engine import Engine
from tests.admin.test_permissions import NEW_MODEL, TUPLES, WHAT_IF, WHY, engine, tuples  # noqa: F401
from tests.support import browser
from tests.support.browser import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    browser.needs_chromium,
]


@pytest.fixture
def browse(processes: Any) -> Callable[..., None]:
    """`browse(way)` runs `way(page, picture)` in a browser."""
    return partial(browser.go, str(processes.web().url))


def test_asks_why_and_what_if(
    browse: Callable[..., None],
    staff: User,
    stranger: User,
    organization: Organization,
    tuples: dict[str, str],  # noqa: F811
    engine: Engine,  # noqa: F811
) -> None:
    def way(page: Any, picture: Callable[[str], None]) -> None:
        sign_in(page, staff.email)
        page.click("nav a:has-text('Why')")
        picture("permissions-why-empty")
        page.fill("[name=subject]", f"user:{stranger.public_id}")
        page.fill("[name=relation]", "member")
        page.fill("[name=target]", f"organization:{organization.public_id}")
        page.click("text=Ask why")
        page.wait_for_selector(".ch-path__tuple")
        picture("permissions-why")
        page.fill("[name=subject]", f"user:{staff.public_id}")
        page.click("text=Ask why")
        page.wait_for_selector(".ch-path .ch-state")
        picture("permissions-why-not")

        page.goto(WHAT_IF)
        page.fill("[name=removed]", f"{tuples['user']} member {tuples['team']}")
        page.click("text=Compare")
        page.wait_for_selector("text=Grants lost")
        picture("permissions-what-if")

        page.goto(TUPLES)
        picture("permissions-tuples")
        page.goto(f"/admin/accounts/user/{stranger.pk}/change/")
        page.wait_for_selector("h2:has-text('Relations')")
        picture("permissions-person")

    browse(way)
    assert engine.check(tuples["user"], "member", tuples["organization"])


def test_says_what_is_wrong_while_a_model_is_written(
    browse: Callable[..., None],
    staff: User,
    engine: Engine,  # noqa: F811
) -> None:
    def way(page: Any, picture: Callable[[str], None]) -> None:
        sign_in(page, staff.email)
        page.goto(NEW_MODEL)
        text = page.input_value("textarea[name=text]")
        page.fill("textarea[name=text]", f"{text}\ntype paper\n  relations\n    define viewer: [nobody]\n")
        page.wait_for_selector(".ch-editor__note")
        page.click(".ch-editor__faults li")
        picture("permissions-editor-fault")
        page.fill("textarea[name=text]", f"{text}\ntype paper\n  relations\n    define viewer: [user]\n")
        page.wait_for_selector(".ch-editor__fine")
        page.fill("[name=reason]", "Papers are shared too")
        page.click("text=Continue")
        page.wait_for_selector("text=What will happen")
        picture("permissions-model-preview")
        page.click("button[name=confirm]")
        page.wait_for_selector("text=The model has a new version")
        page.click(".ch-versions a")
        page.wait_for_selector(".ch-dsl__line--added")
        picture("permissions-model")
        page.goto("/admin/accounts/permissionmodel/")
        picture("permissions-models")

    browse(way)


def test_keeps_a_model_on_the_way_back_and_lets_the_keyboard_out_of_it(
    browse: Callable[..., None],
    staff: User,
    engine: Engine,  # noqa: F811
) -> None:
    def way(page: Any, picture: Callable[[str], None]) -> None:
        sign_in(page, staff.email)
        page.goto(NEW_MODEL)
        text = page.input_value("textarea[name=text]")
        page.fill("textarea[name=text]", f"{text}\ntype paper\n  relations\n    define viewer: [user]\n")
        page.fill("[name=reason]", "Papers too")
        page.click("text=Continue")
        page.wait_for_selector("text=What will happen")
        page.go_back()
        page.wait_for_function("document.querySelector('textarea[name=text]').value.includes('type paper')")
        page.wait_for_selector(".ch-editor__fine")
        page.focus("textarea[name=text]")
        page.keyboard.press("Escape")
        page.keyboard.press("Tab")
        page.wait_for_function("document.activeElement.name === 'reason'")

    browse(way)
