from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from core.config import REQUIRED, Environment, Variable, boolean, choice, integer, listing, text, url
from project.settings.variables import VARIABLES

PORT = Variable("PORT", integer, 8000, "Where to listen.", "Web", number=1)
SECRET = Variable(
    "SECRET", text, lambda kind: REQUIRED if kind == "production" else "dev", "Signs.", "Security", number=2
)
FLAG = Variable("FLAG", boolean, False, "A flag.", "Web", number=3)
DATABASE = Variable("DATABASE", url("postgresql"), "", "The database.", "Servers")


def test_takes_defaults_where_nothing_is_set() -> None:
    env = Environment.read([PORT, SECRET], {}, kind="development")
    assert (env["PORT"], env["SECRET"]) == (8000, "dev")


def test_names_every_fault_at_once_by_number() -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        Environment.read([PORT, SECRET, FLAG], {"PORT": "many", "FLAG": "perhaps"}, kind="production")
    message = str(caught.value)
    assert "countinghouse.E001 PORT: expected a whole number" in message
    assert "countinghouse.E002 SECRET: it is not set" in message
    assert "countinghouse.E003 FLAG: expected one of" in message


def test_reads_a_secret_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    env = Environment.read([SECRET], {"SECRET_FILE": str(tmp_path / "secret")}, kind="production")
    assert env["SECRET"] == "from a file"


@pytest.mark.parametrize("source", [{"SECRET_FILE": "/no/such/file"}, {"SECRET_FILE": "/etc/hosts", "SECRET": "both"}])
def test_refuses_a_missing_file_and_two_values(source: dict[str, str]) -> None:
    with pytest.raises(ImproperlyConfigured, match="SECRET"):
        Environment.read([SECRET], source, kind="development")


def test_never_shows_the_value_that_was_wrong() -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        Environment.read([DATABASE], {"DATABASE": "mysql://root:hunter2@db/x"}, kind="development")
    assert "hunter2" not in str(caught.value)


def test_reads_lists_choices_and_flags() -> None:
    assert listing(" a, b ,,c") == ["a", "b", "c"]
    assert choice("one", "two")("two") == "two"
    assert [boolean(word) for word in ("TRUE", "off", "1")] == [True, False, True]
    with pytest.raises(ValueError, match="one, two"):
        choice("one", "two")("three")


def test_names_a_value_that_does_not_go_with_another() -> None:
    def needs_port(value: str, others: Mapping[str, Any]) -> None:
        if others["PORT"] != 8000 and not value:
            raise ValueError("it is not set, and PORT is")

    name = Variable("HOST", text, "", "Where.", "Web", number=4, fits=needs_port)
    assert Environment.read([name, PORT], {}, kind="development")["HOST"] == ""
    with pytest.raises(ImproperlyConfigured, match=r"countinghouse\.E004 HOST: it is not set"):
        Environment.read([name, PORT], {"PORT": "1"}, kind="development")


def test_gives_each_variable_a_number_of_its_own() -> None:
    numbers = Counter(variable.number for variable in VARIABLES)
    assert not [number for number, count in numbers.items() if count > 1]
