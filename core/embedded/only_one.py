"""One `dev` in one folder: a lock, and who holds it. `--reset` comes before any server starts."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from typing import Any

from core.embedded import places
from core.embedded.local import STATE, LocalServers

_held: Any = None
_KEPT = frozenset({"templates", "install.lock", "users.lock", "start.lock", "secrets.lock", "dev.lock"})


def claim(argv: list[str]) -> None:
    """Hold the lock of `dev` until the process ends; leave with a word when another has it. Obeys `--reset`."""
    global _held
    places.state_folder(STATE)
    _held = (STATE / "dev.lock").open("a+")
    try:
        fcntl.flock(_held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _held.seek(0)
        sys.exit(f"`manage.py dev` already runs in this folder{_where(_held.read())}. Stop it first (Ctrl-C there).")
    if "--reset" in argv:
        _reset(is_sure="--yes" in argv)
    say_where("")


def say_where(address: str, streams: str = "") -> None:
    """Write down where this `dev` serves, for the one who starts a second and for commands beside it."""
    _held.seek(0)
    _held.truncate()
    json.dump({"pid": os.getpid(), "address": address, "streams": streams}, _held)
    _held.flush()


def addresses() -> dict[str, str]:
    """Return the settings that say where the `dev` of this folder serves; nothing when none runs."""
    try:
        known = json.loads((STATE / "dev.lock").read_text())
        os.kill(known["pid"], 0)
    except (OSError, ValueError, KeyError):
        return {}
    found = {"PUBLIC_URL": known["address"], "STREAMS_URL": known.get("streams", "")}
    return {name: address for name, address in found.items() if address}


def _where(text: str) -> str:
    try:
        known = json.loads(text)
    except ValueError:
        return ""
    return f" (process {known['pid']}{', ' + known['address'] if known['address'] else ''})"


def _reset(*, is_sure: bool) -> None:
    servers = LocalServers()
    if servers.is_used():
        sys.exit("Another command uses the database of this folder now: let it end, then reset.")
    if not is_sure:
        if not sys.stdin.isatty():
            sys.exit("--reset deletes all data of this folder. Without a terminal to ask, say --yes.")
        if input(f"Delete all data in {STATE}? Type 'yes': ").strip().lower() != "yes":
            sys.exit("Nothing was deleted.")
    servers.stop()
    for path in STATE.iterdir():
        if path.name in _KEPT:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
