"""docs/how-to/permissions-api.md does what it says: its blocks are run as they stand, in order, in one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from accounts import errors
from accounts.permissions.models import PermissionModel
from accounts.permissions.problems import KINDS
from tests.accounts.permissions.over_http import engine
from tests.journeys.house import STAFF, House
from tests.journeys.test_tutorial import blocks
from tests.support.processes import ROOT

PAGE = "how-to/permissions-api.md"


@pytest.mark.django_db(transaction=True)
@pytest.mark.journey
def test_goes_from_a_model_to_answers_with_nothing_but_curl(house: House, tmp_path: Path) -> None:
    if not PermissionModel.objects.exists():
        engine("model\n  schema 1.1\n\ntype user\n\ntype organization\n  relations\n    define member: [user]\n")
    script = "".join(f"echo '# block {number}'\n{block}echo\n" for number, block in enumerate(blocks(PAGE)))
    done = subprocess.run(
        ["bash", "-u", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "BASE_URL": house.url,
            "ACCESS": house.sign_in(STAFF)["access_token"],
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [part.strip() for part in re.split(r"^# block \d+$", done.stdout, flags=re.MULTILINE)][2:]
    facts = [
        '{"is_valid":true,"faults":[]}wiki',
        "mdl_",
        '"user": "user:bob"',
        '"allowed_types":["user","user:*","wiki#editor"]',
        '{"allowed":true}validation_error\n{"objects":["wiki:handbook","wiki:menu"],"next":null,"complete":true}'
        '{"users":["user:*","user:bob"],"next":null,"complete":true}',
        "Yes: user:ann is viewer of wiki:handbook.\nwiki:handbook#viewer",
        "write",
        "created unknown_user unchanged\nnot_every_member_changed",
    ]
    assert len(said) == len(facts), done.stdout + done.stderr
    for fact, part in zip(facts, said, strict=True):
        assert fact in part, (fact, part, done.stderr)
    assert re.findall(r'"result": "(\w+)"', said[2]) == ["created", "created", "created", "unchanged"]
    assert '"pointer":"/writes/0/user"' in said[3]
    assert said[3].endswith("user:bob")


def test_tells_every_refusal_of_the_engine_with_its_number_and_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| *(\d*) \| (\d+) \| .+ \|$", (ROOT / "docs" / PAGE).read_text(), re.MULTILINE)
    told = {code: (number, int(status)) for code, number, status in rows}
    assert told == {
        **{kind.code: (str(int(number)), kind.status) for number, kind in KINDS.items()},
        "forbidden": ("", 403),
        errors.NotEveryMemberChanged.code: ("", 409),
    }
