"""docs/how-to/organisation-permissions.md does what it says: its blocks are run as they stand, in one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from accounts.models import Organization, User
from tests.billing import factories
from tests.cast import Api, new_person
from tests.journeys.house import House
from tests.journeys.test_tutorial import blocks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.journey]


def test_gives_and_takes_by_the_how_to(
    house: House, tmp_path: Path, organization: Organization, owner: User, team_mate: User
) -> None:
    factories.invoice(factories.customer(organization=organization))
    page = "how-to/organisation-permissions.md"
    script = "".join(f"echo '# block {number}'\n{block}echo\n" for number, block in enumerate(blocks(page)))
    done = subprocess.run(
        ["bash", "-u", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "BASE_URL": house.url,
            "ACCESS": Api().sign_in(owner.email).access_token,
            "ORGANIZATION": organization.public_id,
            "COLLEAGUE": team_mate.public_id,
            "FRIEND": new_person("fred@example.com").email,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [part.strip() for part in re.split(r"^# block \d+$", done.stdout, flags=re.MULTILINE)][2:]
    facts = [
        "Make, rotate and revoke API keys.",
        team_mate.email,
        "['accounts.api_key.view']",
        f"{team_mate.name}\nSupport",
        organization.name,
        "Importer\n401",
        "fred@example.com\n204",
    ]
    assert len(said) == len(facts), done.stdout + done.stderr
    for fact, part in zip(facts, said, strict=True):
        assert fact in part, (fact, part, done.stderr)
