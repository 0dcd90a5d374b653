"""The tutorials do what they say: their blocks are run as they stand, in order, in one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from billing.models import Invoice
from tests.journeys.house import House
from tests.support.processes import ROOT, Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.journey]


def blocks(page: str) -> list[str]:
    """Return the bash blocks of a page of the docs."""
    return re.findall(r"^```bash\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)


def test_goes_through_the_first_hour_with_nothing_but_curl(house: House, tmp_path: Path) -> None:
    script = "".join(
        f"echo '# block {number}'\n{block}echo\n" for number, block in enumerate(blocks("tutorial/api.md"))
    )
    done = subprocess.run(
        ["bash", "-u", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BASE_URL": house.url, "MAILS": str(house.mails)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [part.strip() for part in re.split(r"^# block \d+$", done.stdout, flags=re.MULTILINE)][2:]
    facts = [
        '{"status":"verification_pending"}',
        '{"status":"verified"}',
        "grace@example.com",
        "owner",
        '"amount_minor":4900',
        "USD",
        "Visa 4242",
        "9800",
        "the same subscription\nincomplete",
        "succeeded\nactive",
        "True\nFalse\ncanceled",
        '"current_status":"canceled","command":"pause","allowed_commands":["reactivate"]',
        "incomplete\nsub_",
        "billing.subscription.reactivated",
        "True\ninvalid_token",
    ]
    assert len(said) == len(facts)
    for fact, part in zip(facts, said, strict=True):
        assert fact in part, (fact, part)
    assert "The state does not allow this command" in said[11]
    assert said[12].endswith("paid")


def test_goes_through_the_first_hour_of_staff(processes: Processes, tmp_path: Path) -> None:
    processes.relay()
    processes.worker()
    folder = Path(sys.executable).parent
    script = "".join(blocks("tutorial/first-hour.md")).replace("manage.py", f'"{ROOT / "manage.py"}"')
    done = subprocess.run(
        ["bash", "-e", "-u", "-c", f'python3() {{ "{sys.executable}" "$@"; }}\n{script}'],
        cwd=tmp_path,
        env={**processes.environment(), "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    for fact in (
        "dry run: nothing was written",
        "3 customers created, 0 were there already",
        "2 active subscriptions, 1 cancelled",
        "€54.40 monthly recurring revenue",
        "0 customers created, 3 were there already",
    ):
        assert fact in said, (fact, said)
    assert sorted(Invoice.objects.values_list("total_minor", "status")) == [(1990, "paid"), (3450, "paid")]
