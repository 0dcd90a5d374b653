"""A staff member at a real browser (Debian's Chromium), and the steps of the work in the admin.

    def test_goes(browse, staff):
        def way(page, picture):
            sign_in(page, staff.email)
            picture("dashboard")
        browse(way)

The pictures lie in `tests/pictures/`, or in the folder that the variable COUNTINGHOUSE_PICTURES names.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.cast import PASSWORD

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PICTURES = Path(os.environ.get("COUNTINGHOUSE_PICTURES") or Path(__file__).resolve().parent.parent / "pictures")
DESK, PHONE = (1440, 900), (390, 844)

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium here: install it (Debian: apt install chromium)"
)

Picture: TypeAlias = Callable[[str], None]
Way: TypeAlias = Callable[[Any, Picture], None]


def go(
    url: str,
    way: Way,
    *,
    scheme: str = "light",
    size: tuple[int, int] = DESK,
    expected: str = "",
    patience: float = 10.0,
) -> None:
    """Run `way(page, picture)` in a browser of its own process; faults on any page fail the test, but those that hold
    the text `expected`.

    Playwright keeps an event loop in its thread, in which Django refuses to ask the database: what is to be checked
    there is checked after it.
    """
    from playwright.sync_api import sync_playwright

    PICTURES.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        viewport: Any = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, base_url=url)  # type: ignore[arg-type]
        page = context.new_page()
        page.set_default_timeout(patience * 1000)
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)

        def picture(name: str) -> None:
            page.wait_for_load_state("networkidle")
            page.screenshot(path=PICTURES / f"{name}.png")

        way(page, picture)
        browser.close()
    unexpected = [fault for fault in faults if not expected or expected not in fault]
    assert not unexpected, unexpected


def sign_in(page: Any, email: str) -> None:
    page.goto("/admin/")
    page.fill("[name=username]", email)
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(re.compile("/admin/$"))


def ask_the_box(page: Any, text: str) -> None:
    """Type `text` into the box that finds anything; the first match is chosen, Enter opens it."""
    page.keyboard.press("Control+k")
    page.keyboard.type(text, delay=30)
    page.wait_for_selector(".ch-palette__one")


def begin_plan_change(page: Any, price: str, reason: str) -> None:
    """From a customer's page to the preview of a plan change of its subscription."""
    page.click("section:has(h2:has-text('Subscriptions')) a.ch-id")
    page.click(".ch-commands >> text=Change plan")
    page.click(".select2-selection")
    page.keyboard.type(price)
    page.keyboard.press("Enter")
    page.fill("[name=reason]", reason)
    page.click("text=Continue")
    page.wait_for_selector("text=What will happen")


def confirm_plan_change(page: Any) -> None:
    page.click("button[name=confirm]")
    page.wait_for_selector("text=The plan change is noted.")


def begin_refund(page: Any, amount: str, reason: str) -> None:
    """From a payment's page to the preview of a refund."""
    page.click(".ch-commands >> text=Refund")
    page.fill("[name=amount]", amount)
    page.fill("[name=reason]", reason)
    page.click("text=Continue")
    page.wait_for_selector("text=What will happen")


def confirm_refund(page: Any, amount: str) -> None:
    """Confirm by two clicks: only one refund may come of it."""
    page.dblclick("button[name=confirm]")
    page.wait_for_selector(f"text=${amount} was given back.")
