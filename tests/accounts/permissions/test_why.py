"""manage.py why: the explanation as text or JSON, and what the exit code says."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from accounts.permissions.engine import save_model
from accounts.permissions.language import parse
from accounts.permissions.models import PermissionStore
from accounts.permissions.tuples import Tuple

pytestmark = pytest.mark.django_db

MODEL = parse("""model
  schema 1.1

type user

type document
  relations
    define viewer: [user, user with in_hours]

condition in_hours(hour: int) {
  hour < 18
}
""")


@pytest.fixture(autouse=True)
def store() -> None:
    engine = save_model(PermissionStore.objects.create(name="why"), MODEL)
    condition = {"name": "in_hours"}
    engine.write(
        [
            Tuple.parse({"user": "user:ann", "relation": "viewer", "object": "document:1"}),
            Tuple.parse({"user": "user:bob", "relation": "viewer", "object": "document:1", "condition": condition}),
        ]
    )


def why(*arguments: str) -> tuple[int, str]:
    output = io.StringIO()
    try:
        call_command("why", *arguments, "--store", "why", stdout=output)
    except SystemExit as ended:
        return int(str(ended.code)), output.getvalue()
    return 0, output.getvalue()


def test_says_yes_with_the_way() -> None:
    code, text = why("user:ann", "viewer", "document:1")
    assert code == 0
    assert text.splitlines() == [
        "Yes: user:ann is viewer of document:1.",
        "  document:1#viewer: viewer <- [direct]: document:1#viewer@user:ann (stored)",
    ]


def test_says_no_with_what_was_tried() -> None:
    code, text = why("user:cay", "viewer", "document:1", "--json")
    assert code == 1
    assert json.loads(text)["tried"][0]["outcome"] == "no tuple"


def test_takes_parameters_of_conditions() -> None:
    assert why("user:bob", "viewer", "document:1", "--context", '{"hour": 9}')[0] == 0
    code, text = why("user:bob", "viewer", "document:1")
    assert code == 2
    assert text.startswith("No answer: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("user:ann", "owner", "document:1"),
        ("ann", "viewer", "document:1"),
        ("user:ann", "viewer", "document:1", "--context", "{"),
        ("user:ann", "viewer", "document:1", "--context", "[]"),
    ],
)
def test_refuses_with_code_2_what_cannot_be_asked(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as refused:
        why(*arguments)
    assert refused.value.returncode == 2


def test_refuses_a_store_without_a_model() -> None:
    with pytest.raises(CommandError, match="There is no model of the store 'empty'"):
        call_command("why", "user:ann", "viewer", "document:1", "--store", "empty")
