"""Where the files of exports lie: in the storage "exports", under names of ours that nobody can guess."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.files.storage import Storage, storages

from core.health import Finding, Status, probe
from core.models import Export

_BLOCK = 1 << 20
_LOW_BYTES = 1 << 30


def storage() -> Storage:
    return storages["exports"]


def put(export: Export, path: Path) -> str:
    """Keep the file and return its key."""
    key = f"{export.pk.hex}/{secrets.token_urlsafe(24)}.{export.format}"
    with path.open("rb") as content:
        return storage().save(key, File(content))


def opened(export: Export) -> Any:
    """Open the file to read. Raises FileNotFoundError."""
    return storage().open(export.file_key, "rb")


def wipe(export: Export, *, but: str = "") -> None:
    """Remove what the attempts of an export left behind, save the file with the key `but`. Safe to repeat."""
    place = storage()
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for name in place.listdir(export.pk.hex)[1]:
            key = f"{export.pk.hex}/{name}"
            if key != but:
                place.delete(key)
        if not but:
            place.delete(export.pk.hex)


@contextmanager
def scratch(export: Export) -> Iterator[Path]:
    """A folder of this attempt's own, removed after it; those that killed attempts left behind are removed first."""
    prefix = f"countinghouse-export-{export.pk.hex}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        yield Path(folder)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


@probe("files")
def is_well() -> Finding:
    """Whether the product can write where its files lie, and how much room there is."""
    location = getattr(storage(), "location", "")
    if not location:
        return Finding(detail="not on this machine")
    path = Path(location)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        return Finding(Status.FAILED, "FILES_ROOT cannot be written.", {"path": location})
    free = shutil.disk_usage(path).free
    inner = {"path": location, "free_gb": round(free / 1e9, 1)}
    return Finding(Status.WARNING, "Little room is left.", inner) if free < _LOW_BYTES else Finding(inner=inner)
