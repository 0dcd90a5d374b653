"""Which interpreter has the pinned packages? The one that runs, else that of `.venv`, which is made when missing."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)\s*(;.*)?$")


def interpreter(root: Path, requirements: str) -> str:
    """Return the path of a Python that has all of `requirements` (a file in `root`), installing them when need be."""
    if not missing(root / requirements):
        return sys.executable
    environment = root / ".venv"
    python = environment / "bin" / "python"
    if not _is_stamped(environment, root, requirements):
        with _alone(root):
            if not _is_stamped(environment, root, requirements):
                _install(root, environment, requirements)
    return str(python)


def missing(requirements: Path) -> list[str]:
    """Return the pins that this interpreter does not meet. Those that hold on some systems only are taken as met."""
    present = set()
    for entry in sys.path:
        try:
            names = os.listdir(entry)
        except OSError:
            continue
        for name in names:
            if name.endswith(".dist-info"):
                project, _, version = name[: -len(".dist-info")].rpartition("-")
                present.add((_normal(project), version))
    return [f"{name}=={version}" for name, version in pins(requirements) if (_normal(name), version) not in present]


def pins(requirements: Path) -> list[tuple[str, str]]:
    """Return name and version of each unconditional pin."""
    found = []
    for line in requirements.read_text(encoding="utf-8").splitlines():
        match = _PIN.match(line.strip())
        if match and not match[3]:
            found.append((match[1], match[2]))
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- the stamp: what .venv holds, so that nothing is asked of the network once it is complete ---


def _stamp(environment: Path) -> Path:
    return environment / "countinghouse.json"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_stamped(environment: Path, root: Path, requirements: str) -> bool:
    try:
        stamps = json.loads(_stamp(environment).read_text())
    except (OSError, ValueError):
        return False
    is_whole = (environment / "bin" / "python").exists()  # false too when the Python behind the link is gone
    return is_whole and stamps.get(requirements) == _digest(root / requirements)


def _write_stamp(environment: Path, root: Path, requirements: str) -> None:
    stamps = {requirements: _digest(root / requirements)}
    for other in ("requirements.txt",):  # the development list holds the run-time list
        stamps[other] = _digest(root / other)
    fresh = _stamp(environment).with_suffix(".fresh")
    fresh.write_text(json.dumps(stamps))
    fresh.replace(_stamp(environment))


# --- installing ---


def _install(root: Path, environment: Path, requirements: str) -> None:
    started = time.monotonic()
    _say(f"Installing the packages of {requirements} into {environment} (once; later starts are offline) ...")
    python = environment / "bin" / "python"
    if not _runs(python):
        _make_environment(environment)
    _stamp(environment).unlink(missing_ok=True)
    installers = _installers(python)
    for number, installer in enumerate(installers, start=1):
        done = subprocess.run([*installer, "-r", str(root / requirements)], env=_variables(), check=False)
        if done.returncode == 0:
            break
        if number < len(installers):
            _say(f"{installer[0]} did not manage; trying {installers[number][0]} ...")
    else:
        sys.exit(
            "The packages could not be installed: see above. A package index is needed once (PIP_INDEX_URL or\n"
            "UV_DEFAULT_INDEX names one of your own); the same command goes on where it stopped."
        )
    _write_stamp(environment, root, requirements)
    _say(f"Installed in {time.monotonic() - started:.0f} s.")


def _make_environment(environment: Path) -> None:
    """Make `.venv` without pip (quick); `_installers` brings what installs."""
    command = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(environment)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(
            f"A virtual environment could not be made in {environment}:\n{done.stdout}{done.stderr}\n"
            f"On Debian and Ubuntu this helps: apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        )


def _installers(python: Path) -> list[list[str]]:
    """Return the commands to try, in order: uv on the PATH, uv from the index, pip."""
    uv = ["pip", "install", "--quiet", "--python", str(python)]
    if sys.dont_write_bytecode:  # else every start would compile every module again
        uv.append("--compile-bytecode")
    found = shutil.which("uv")
    if found:
        first = [[found, *uv]]
        return first + ([[*_pip(python), "install", "--quiet"]] if _pip(python) else [])
    pip = _pip(python)
    if not pip:
        sys.exit(
            f"There is neither uv nor pip for {sys.executable}.\nOn Debian and Ubuntu this helps: apt install "
            f"python{sys.version_info[0]}.{sys.version_info[1]}-venv python3-pip; anywhere: https://docs.astral.sh/uv/"
        )
    _say("Fetching uv ...")
    done = subprocess.run([*pip, "install", "--quiet", "uv"], env=_variables(), check=False)
    plain = [*pip, "install", "--quiet"]
    return [[str(python), "-m", "uv", *uv], plain] if done.returncode == 0 else [plain]


def _pip(python: Path) -> list[str]:
    """Return the command line of a pip that installs into `python`'s environment; empty when there is none."""
    if _runs(python, "-m", "pip", "--version"):
        return [str(python), "-m", "pip"]
    if _runs(Path(sys.executable), "-m", "pip", "--python", str(python), "--version"):  # pip >= 22.3
        return [sys.executable, "-m", "pip", "--python", str(python)]
    if _runs(python, "-m", "ensurepip", "--default-pip"):
        return [str(python), "-m", "pip"]
    return []


def _runs(python: Path, *arguments: str) -> bool:
    if not python.exists():
        return False
    done = subprocess.run([str(python), *(arguments or ("-c", ""))], capture_output=True, check=False)
    return done.returncode == 0


def _variables() -> dict[str, str]:
    """Return the environment for the installers: uv is told the index and certificate that pip was told."""
    variables = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONNOUSERSITE": "1"}
    for ours, theirs in (
        ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"),
        ("UV_INDEX", "PIP_EXTRA_INDEX_URL"),
        ("SSL_CERT_FILE", "PIP_CERT"),
    ):
        if theirs in variables:
            variables.setdefault(ours, variables[theirs])
    return variables


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Only one process at a time installs; the others wait and find it done."""
    folder = root / ".countinghouse"
    folder.mkdir(exist_ok=True, mode=0o700)
    with (folder / "install.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Waiting for another command that is installing ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
