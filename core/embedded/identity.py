"""As whom PostgreSQL runs: it refuses root.

An ordinary user runs it directly. Root runs it inside a user namespace, where root's files belong to user 1000: no file
changes hands and no folder is opened to others. Where namespaces are forbidden, a system user runs it in a folder of
its own under the temporary files, with copies of the data and the programs, since it may not enter root's folders.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--")
_SYSTEM_USERS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Identity:
    """How to start a program: behind `prefix`, or as the system user `uid`, `gid`."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    @property
    def needs_copies(self) -> bool:
        """Whether the programs and the data must lie where a system user reaches them."""
        return self.uid is not None

    def popen_arguments(self, command: Sequence[str | Path]) -> tuple[list[str], dict[str, Any]]:
        """Return command line and keyword arguments for `subprocess`."""
        options: dict[str, Any] = {}
        if self.uid is not None:
            options = {"user": self.uid, "group": self.gid, "extra_groups": []}
        return [*self.prefix, *map(str, command)], options

    def give(self, folder: Path) -> None:
        """Hand `folder` and all in it to the system user, closed to everyone else."""
        if self.uid is None or self.gid is None:
            return
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        folder.chmod(0o700)


@functools.cache
def may_use_namespaces() -> bool:
    """Whether root may run a program in a user namespace here."""
    if shutil.which("unshare") is None:
        return False
    trial = subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False)  # noqa: S603
    return trial.returncode == 0


def identity() -> Identity:
    """Return as whom PostgreSQL is to run for the present user."""
    if os.geteuid() != 0:
        return Identity()
    if may_use_namespaces():
        return Identity(prefix=_NAMESPACE)
    for name in _SYSTEM_USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(uid=user.pw_uid, gid=user.pw_gid)
    raise RuntimeError("PostgreSQL does not run as root, and there is no system user 'nobody' to run it.")
