"""The secrets of a development clone: made on first use, kept in `.countinghouse/secrets.json` (0600)."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from core.embedded.places import locked, state_folder


def persisted(folder: Path) -> Mapping[str, str]:
    """Return the variables SECRET_KEY, ENCRYPTION_KEYS and TOKEN_SIGNING_KEYS of the clone whose state is `folder`."""
    path = folder / "secrets.json"
    try:
        return _read(path)
    except FileNotFoundError:
        state_folder(folder)
    with locked(folder / "secrets.lock"):
        if not path.exists():
            _write(path, _new())
        return _read(path)


def _new() -> dict[str, str]:
    return {"SECRET_KEY": secrets.token_urlsafe(48), "ENCRYPTION_KEYS": _key(), "TOKEN_SIGNING_KEYS": _key()}


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _read(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text()))


def _write(path: Path, values: Mapping[str, str]) -> None:
    fresh = path.with_suffix(".fresh")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(values, file, indent=1)
    fresh.replace(path)
