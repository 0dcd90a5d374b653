"""docs/how-to/webhooks.md does what it says: its blocks are run as they stand, in order, in one folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from accounts.models import Organization, User
from tests.journeys.house import House
from tests.journeys.test_tutorial import blocks
from tests.meta.company import key_of
from tests.support.processes import ROOT, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.journey]


def test_receives_and_verifies_by_the_how_to(
    house: House, tmp_path: Path, organization: Organization, owner: User
) -> None:
    page = "how-to/webhooks.md"
    (program,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "receiver.py").write_text(program)
    script = "".join(f"echo '# block {number}'\n{block}echo\n" for number, block in enumerate(blocks(page)))
    done = subprocess.run(
        ["bash", "-u", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "BASE_URL": house.url,
            "PORT": str(free_port()),
            "KEY": key_of(organization, owner, "notifications.*", "billing.*")[1],
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [part.strip() for part in re.split(r"^# block \d+$", done.stdout, flags=re.MULTILINE)][2:]
    facts = [
        "accounts.api_key.created",
        "billing.customer.created cus_",
        '"type": "billing.customer.created"',
        "verified",
        "204\nsucceeded",
        "by_hand\nTrue\nnotifications.recover_webhooks\npending",
        "succeeded\n204",
    ]
    assert len(said) == len(facts), done.stdout + done.stderr
    for fact, part in zip(facts, said, strict=True):
        assert fact in part, (fact, part, done.stderr)
    assert "Grace Hopper" in said[2]
