"""The page about live streams does what it says: its curl as it stands, and its JavaScript in a real browser."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Session, User
from core import clock
from core.actor import SYSTEM
from core.ids import new_id
from notifications.services import inbox
from tests.cast import PASSWORD
from tests.support.browser import go, needs_chromium
from tests.support.processes import ROOT, Processes, Web, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.journey]
PAGE = (ROOT / "docs" / "how-to" / "streams.md").read_text()


@pytest.fixture
def web(processes: Processes) -> Web:
    """The web, and live streams at an address of their own that it names."""
    port = free_port()
    streams = processes.streams(PUBLIC_URL=f"http://127.0.0.1:{port}")
    return processes.web(port=port, STREAMS_URL=streams.url, RATE_LIMIT_SCALE="1000")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def tell(person: User, subject: str) -> None:
    inbox.tell(actor=SYSTEM, person=person, kind="members", subject=subject, text="…", unique=new_id().hex)


def test_are_read_with_nothing_but_curl(web: Web, api: Any, owner: User, tmp_path: Path) -> None:
    tell(owner, "before")
    environment = {
        "PATH": os.environ["PATH"],
        "BASE_URL": web.url,
        "ACCESS": api(owner).access_token,
        "SECONDS_TO_LISTEN": "4",
    }
    said = threading.Timer(2.5, tell, [owner, "while it listens"])
    said.start()
    done = subprocess.run(
        ["bash", "-u", "-c", "echo '# second'\n".join(blocks("bash"))],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said.join()
    assert done.returncode == 0, done.stderr
    live, resumed = done.stdout.split("# second")
    assert live.startswith("retry: 2000\n\nid: 1\nevent: ready\ndata: ")
    assert '"subject":"while it listens"' in live
    assert '"subject":"before"' not in live
    assert resumed.index('"subject":"before"') < resumed.index('"subject":"while it listens"')


@needs_chromium
@pytest.mark.browser
def test_are_read_by_a_page_of_ours_across_a_lost_line_and_an_ended_session(web: Web, owner: User) -> None:
    client = blocks("js")[0]
    script = f"""
        ([token]) => {{
            {client}
            window.seen = [];
            window.failed = null;
            follow({{
                api: "", token: async () => window.token, stream: "notifications", events: ["ready", "notification"],
                onMessage: (name, data) => window.seen.push(data.subject || name),
            }}).catch((fault) => {{ window.failed = String(fault); }});
        }}
    """
    found: dict[str, Any] = {}
    steps = {"told": threading.Event(), "cut": threading.Event(), "told again": threading.Event()}

    def way(page: Any, picture: Any) -> None:
        page.goto("/admin/login/")
        reply = page.request.post("/api/v1/auth/login", data={"email": owner.email, "password": PASSWORD})
        page.evaluate("(token) => { window.token = token; }", reply.json()["access_token"])
        page.evaluate(script, [""])
        page.wait_for_function("window.seen.includes('ready')")
        steps["told"].set()
        page.wait_for_function("window.seen.includes('first')")
        steps["cut"].set()
        page.wait_for_function("window.seen.filter((one) => one === 'ready').length >= 2")
        steps["told again"].set()
        page.wait_for_function("window.seen.includes('second')")
        found["seen"] = page.evaluate("window.seen")

    def act() -> None:
        from django.db import connection

        try:
            assert steps["told"].wait(30)
            tell(owner, "first")
            assert steps["cut"].wait(30)
            _cut_streams_of(owner)
            assert steps["told again"].wait(30)
            tell(owner, "second")
        finally:
            connection.close()

    other = threading.Thread(target=act)
    other.start()
    # While the person is shut out a reconnection may be refused; the browser says so, and the page tries again.
    go(web.url, way, patience=30, expected="401 (Unauthorized)")
    other.join()
    assert found["seen"] == ["ready", "first", "ready", "second"]


def _cut_streams_of(person: User) -> None:
    """Make the server send the person's streams away, and let them back in: what their access rests on changes."""
    from core import streams

    User.objects.filter(pk=person.pk).update(is_active=False)
    streams.wake(streams.ACCESS_CHANGED)
    time.sleep(1)
    User.objects.filter(pk=person.pk).update(is_active=True)
    Session.objects.filter(user=person).update(last_used_at=clock.now())
