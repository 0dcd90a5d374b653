"""From a bare Python to the packages, and how `manage.py test` becomes pytest."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from project.bootstrap import openfga, packages, testing

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


# --- the OpenFGA server ---


def program(folder: Path, name: str, text: str = "") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which nothing is installed."""
    (tmp_path / "bin").mkdir()
    monkeypatch.delenv(openfga.NAMED_BY, raising=False)
    monkeypatch.delenv("GOPATH", raising=False)
    for name, value in {"PATH": "bin", "HOME": "home", "XDG_CACHE_HOME": "cache"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    return tmp_path


def test_finds_openfga_where_it_is_named_on_the_path_and_where_go_puts_it(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert openfga.find() is None
    (bare / "home" / "go" / "bin").mkdir(parents=True)
    by_go = program(bare / "home" / "go" / "bin", "openfga")
    assert openfga.find() == by_go
    on_path = program(bare / "bin", "openfga")
    assert openfga.find() == on_path
    named = program(bare, "another")
    monkeypatch.setenv(openfga.NAMED_BY, str(named))
    assert openfga.find_or_build() == named
    monkeypatch.setenv(openfga.NAMED_BY, str(bare / "nowhere"))
    with pytest.raises(openfga.NoServer, match="which is no program"):
        openfga.find_or_build()


def test_builds_openfga_once(bare: Path) -> None:
    text = f'echo "$@" >> {bare}/built; printf "#!/bin/sh\\n" > "$GOBIN/openfga"; /bin/chmod +x "$GOBIN/openfga"'
    program(bare / "bin", "go", text)
    found = openfga.find_or_build()
    assert found == openfga.find_or_build() == bare / "cache" / "countinghouse" / "openfga-v1.22.1" / "openfga"
    assert (bare / "built").read_text() == f"install {openfga.PACKAGE}@{openfga.VERSION}\n"


def test_says_in_one_line_why_openfga_cannot_be_built(bare: Path) -> None:
    program(bare / "bin", "go", "echo 'dial tcp: no route to host' >&2; exit 1")
    with pytest.raises(openfga.NoServer, match=r"failed: dial tcp: no route to host$") as caught:
        openfga.find_or_build()
    assert "\n" not in str(caught.value)
    assert not list((bare / "cache" / "countinghouse" / "openfga-v1.22.1").glob("build-*"))


def test_takes_services_and_leaves_the_rest_to_pytest() -> None:
    assert testing._services(["--services", "openfga", "-x"]) == ({"openfga"}, ["-x"])
    assert testing._services(["tests/core", "--services=openfga"]) == ({"openfga"}, ["tests/core"])
    assert testing._services(["tests/core"]) == (set(), ["tests/core"])
    with pytest.raises(SystemExit, match="--services takes openfga"):
        testing._services(["--services", "oracle"])
