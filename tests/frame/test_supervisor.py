"""How `dev` keeps its processes, and that there is one `dev` in one folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.embedded import only_one
from core.embedded import supervisor as module
from core.embedded.source_watch import SourceWatch
from core.embedded.supervisor import Child, Supervisor
from project.management.commands.dev import free_port

PYTHON = sys.executable
SLEEPER = [PYTHON, "-c", "import time; print('up', flush=True); time.sleep(60)"]


def _run(children: list[Child], folder: Path, until: Callable[[list[str]], bool]) -> list[str]:
    """Run a supervisor in this (main) thread until the log says so; return the log."""
    lines: list[str] = []
    found = Supervisor(children, folder=folder, write=lines.append)

    def watch() -> None:
        deadline = time.monotonic() + 20
        while not until(lines) and time.monotonic() < deadline:
            time.sleep(0.02)
        found.stop()

    before = {order: signal.getsignal(order) for order in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        found.run()
    finally:
        thread.join()
        for order, handler in before.items():
            signal.signal(order, handler)
    assert until(lines), lines
    return lines


def test_merges_the_lines_of_all_under_their_names(tmp_path: Path) -> None:
    children = [Child("web", SLEEPER, "cyan"), Child("worker", SLEEPER, "yellow")]
    lines = _run(children, tmp_path, lambda lines: {"web    | up", "worker | up"} <= set(lines))
    assert lines[-1] == "dev    | Stopping ..."
    assert all(child.process is not None and child.process.poll() is not None for child in children)


def test_starts_anew_what_dies_and_says_so(tmp_path: Path) -> None:
    child = Child("web", [PYTHON, "-c", "import sys; print('up', flush=True); sys.exit(3)"], "cyan")
    lines = _run([child], tmp_path, lambda lines: lines.count("web | up") >= 2)
    assert "dev | web ended (exit code 3); again in 0.5 s." in lines
    assert child.wait > 0.5, "each death makes the next rest longer"


def test_starts_anew_what_stands_still(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.1)
    asked: list[int] = []

    def stands_still(pid: int) -> bool:
        asked.append(pid)
        return pid == asked[0] and len(asked) != 2

    child = Child("worker", SLEEPER, "cyan", stands_still=stands_still)
    lines = _run([child], tmp_path, lambda lines: lines.count("worker | up") >= 2)
    assert "dev    | worker stands still; ending it." in lines
    assert "dev    | worker ended (killed by SIGKILL); again in 0.5 s." in lines
    assert asked.count(asked[0]) == 5, "three looks in a row: the second was well, so it began anew"


def test_ends_at_last_what_does_not_stop(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.5)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = Child("web", [PYTHON, "-c", deaf], "cyan")
    _run([child], tmp_path, lambda lines: "web | up" in lines)
    assert child.process is not None
    assert child.process.returncode == -signal.SIGKILL


def test_its_children_stop_when_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from core.embedded.supervisor import *\n"
        "child = 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'\n"
        "Supervisor([Child('web', [sys.executable, '-c', child], 'cyan')], folder=pathlib.Path('.')).run()"
    )
    process = subprocess.Popen([PYTHON, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline().split("|")[1])
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
        if Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text():
            break  # dead; nobody has asked for its exit code yet
    else:
        assert not Path(f"/proc/{pid}").exists()


def test_sees_a_changed_source_once(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "tests").mkdir()
    watch = SourceWatch(tmp_path, seconds=0)
    assert not watch()
    (tmp_path / "tests" / "b.py").write_text("1")
    assert not watch(), "tests are not what runs"
    os.utime(tmp_path / "a.py", ns=(1, 1))
    assert watch()
    assert not watch()


def test_moves_on_when_the_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port


def test_a_second_dev_in_the_same_folder_says_that_one_runs(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from core.embedded import only_one\n"
        f"only_one.STATE = pathlib.Path({str(tmp_path)!r})\n"
        "only_one.claim(['manage.py', 'dev']); only_one.say_where('http://localhost:8123')\n"
        "print('claimed', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen([PYTHON, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "claimed\n"
    second = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "already runs in this folder" in second.stderr
    assert f"process {first.pid}, http://localhost:8123" in second.stderr
    first.communicate("")


def test_commands_beside_a_dev_know_where_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(only_one, "STATE", tmp_path)
    note = tmp_path / "dev.lock"
    served = {"address": "http://localhost:8123", "streams": "http://localhost:8124"}
    assert only_one.addresses() == {}
    note.write_text(json.dumps({"pid": os.getpid(), **served}))
    assert only_one.addresses() == {"PUBLIC_URL": served["address"], "STREAMS_URL": served["streams"]}
    ended = subprocess.Popen(["true"])
    ended.wait()
    note.write_text(json.dumps({"pid": ended.pid, **served}))
    assert only_one.addresses() == {}


@pytest.mark.parametrize("has_consent", [True, False])
def test_reset_deletes_only_after_consent(tmp_path: Path, has_consent: bool) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "templates").mkdir()
    code = (
        "import pathlib; from core.embedded import only_one, local\n"
        f"only_one.STATE = local.STATE = pathlib.Path({str(tmp_path)!r})\n"
        "only_one.LocalServers.__init__.__defaults__ = (only_one.STATE,)\n"
        f"only_one.claim(['manage.py', 'dev', '--reset'] + ['--yes'] * {has_consent!r})"
    )
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert (tmp_path / "postgres").exists() is not has_consent
    assert (tmp_path / "templates").exists()
    assert (done.returncode == 0) is has_consent, done.stderr
