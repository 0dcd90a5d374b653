"""From a bare Python to the packages, and how `manage.py test` becomes pytest."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from project.bootstrap import packages, testing

ROOT = Path(__file__).resolve().parent.parent.parent


def _requirements(folder: Path, text: str) -> Path:
    path = folder / "requirements.txt"
    path.write_text(text)
    return path


def test_reads_names_and_versions_and_leaves_conditional_ones_out(tmp_path: Path) -> None:
    path = _requirements(
        tmp_path,
        "# made by uv\nDjango==5.2.1\n    # via x\ncelery[redis]==5.7.0\nfutures==1 ; python_version < '3'\n",
    )
    assert packages.pins(path) == [("Django", "5.2.1"), ("celery", "5.7.0")]


def test_uses_an_interpreter_that_has_the_packages_as_it_is(tmp_path: Path) -> None:
    assert packages.missing(ROOT / "requirements.txt") == []
    assert packages.interpreter(ROOT, "requirements.txt") == sys.executable


def test_names_what_another_version_or_nothing_stands_for(tmp_path: Path) -> None:
    path = _requirements(tmp_path, "django==1.0\nno-such-package==1\n")
    assert packages.missing(path) == ["django==1.0", "no-such-package==1"]


def test_asks_nothing_of_the_network_once_the_stamp_fits(tmp_path: Path, monkeypatch) -> None:
    _requirements(tmp_path, "no-such-package==1\n")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    packages._write_stamp(tmp_path / ".venv", tmp_path, "requirements.txt")
    monkeypatch.setattr(packages, "_install", lambda *_: pytest.fail("it installed again"))
    assert packages.interpreter(tmp_path, "requirements.txt") == str(python)


def test_installs_again_when_the_list_has_changed(tmp_path: Path, monkeypatch) -> None:
    path = _requirements(tmp_path, "no-such-package==1\n")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    packages._write_stamp(tmp_path / ".venv", tmp_path, "requirements.txt")
    path.write_text("no-such-package==2\n")
    asked = []
    monkeypatch.setattr(packages, "_install", lambda *arguments: asked.append(arguments))
    packages.interpreter(tmp_path, "requirements.txt")
    assert len(asked) == 1


def test_the_development_list_serves_as_the_run_time_list_too(tmp_path: Path) -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".venv").mkdir()
    packages._write_stamp(tmp_path / ".venv", tmp_path, "requirements-dev.txt")
    assert json.loads((tmp_path / ".venv" / "countinghouse.json").read_text()).keys() == {
        "requirements.txt",
        "requirements-dev.txt",
    }


def test_tells_uv_the_index_that_pip_was_told(monkeypatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    assert packages._variables()["UV_DEFAULT_INDEX"] == "https://index.example/simple"


@pytest.mark.parametrize(
    ("arguments", "are_many"),
    [
        ([], True),
        (["tests/core"], True),
        (["tests/frame/test_bootstrap.py"], False),
        (["tests/frame/test_bootstrap.py::test_x"], False),
        (["-n", "2"], False),
        (["-n0"], False),
        (["--pdb"], False),
        (["-q", "-k", "word"], True),
    ],
)
def test_takes_several_workers_for_several_files(arguments: list[str], are_many: bool, monkeypatch) -> None:
    monkeypatch.setattr(testing, "_processors", lambda: 8)
    assert testing.workers(arguments, ROOT) == (["-n", "4", "--dist", "worksteal"] if are_many else [])


def test_finds_a_test_named_from_another_folder(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "test_it.py").touch()
    monkeypatch.chdir(tmp_path)
    assert testing._from_root("test_it.py::test_a", ROOT) == f"{tmp_path}/test_it.py::test_a"
    assert testing._from_root("-q", ROOT) == "-q"
    assert testing._from_root("word", ROOT) == "word"
