"""`manage.py test` becomes pytest, with as many workers as help.

`--services openfga` has the tests that ask a real OpenFGA server ask one; it is found, or built. Without it they skip.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

MOST_WORKERS = 4
SERVICES = {"openfga"}
OPENFGA_MISSING = "COUNTINGHOUSE_OPENFGA_MISSING"
_ALONE = ("-n", "--numprocesses", "--dist", "--pdb", "--trace", "--collect-only", "--co", "-s", "--capture=no")
_ELSEWHERE = ("PYTEST_XDIST_WORKER", "COUNTINGHOUSE_TEST_SERVERS")


def run(interpreter: str, root: Path, arguments: list[str]) -> NoReturn:
    """Become `pytest arguments`, run in `root`. Its closing line is the last, its exit code is ours."""
    services, arguments = _services(arguments)
    arguments = [_from_root(argument, root) for argument in arguments]
    command = [interpreter, "-m", "pytest", *workers(arguments, root), *arguments]
    for name in _ELSEWHERE:  # a test that runs the tests starts servers of its own
        os.environ.pop(name, None)
    if "openfga" in services:
        _bring_openfga()
    os.chdir(root)
    sys.stdout.flush()
    os.execv(interpreter, command)


def workers(arguments: list[str], root: Path) -> list[str]:
    """Return the option for pytest-xdist: none when the person said how, or for a single file."""
    if any(argument.startswith(("-n", "-p")) or argument in _ALONE for argument in arguments):
        return []
    number = min(_processors(), MOST_WORKERS)
    if number == 1 or _files(arguments, root) == 1:
        return []
    # Tests that watch processes die take minutes and lie beside each other: idle workers take them over.
    return ["-n", str(number), "--dist", "worksteal"]


def _services(arguments: list[str]) -> tuple[set[str], list[str]]:
    """Return the services that are asked for (`--services a,b`), and the other arguments."""
    wanted: set[str] = set()
    others: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        name, _, value = argument.partition("=")
        if name == "--services":
            wanted |= set((value or next(waiting, "")).split(","))
        else:
            others.append(argument)
    if wanted - SERVICES:
        sys.exit(f"--services takes {', '.join(sorted(SERVICES))}.")
    return wanted, others


def _bring_openfga() -> None:
    """Tell the tests where the server's program is, or why there is none."""
    from project.bootstrap import openfga  # a program of its own too, which must not be loaded before it runs

    try:
        os.environ[openfga.NAMED_BY] = str(openfga.find_or_build())
    except openfga.NoServer as fault:
        os.environ.pop(openfga.NAMED_BY, None)
        os.environ[OPENFGA_MISSING] = str(fault)
        print(f"No OpenFGA server: {fault}.")


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _files(arguments: list[str], root: Path) -> int:
    """Return how many test files are chosen; all when none is named."""
    named = [root / argument.split("::")[0] for argument in arguments if not argument.startswith("-")]
    chosen = [path for path in named if path.exists()] or [root / "tests"]
    return sum(1 if path.is_file() else len(list(path.rglob("test_*.py"))) for path in chosen)


def _from_root(argument: str, root: Path) -> str:
    """A path that was typed in another folder still names the same file."""
    path, separator, rest = argument.partition("::")
    if argument.startswith("-") or (root / path).exists() or not Path(path).exists():
        return argument
    return str(Path(path).resolve()) + separator + rest
