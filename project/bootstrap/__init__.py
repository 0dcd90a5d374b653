"""From a bare Python to one that has the packages. Standard library only: nothing else is there yet."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from project.bootstrap import packages, testing

ROOT = Path(__file__).resolve().parent.parent.parent
RUN, DEVELOPMENT = "requirements.txt", "requirements-dev.txt"


def prepare(argv: list[str]) -> None:
    """Return in an interpreter that has the pinned packages; `.venv` is made and entered when this one lacks them.

    `manage.py test` does not return: it becomes pytest.
    """
    is_test = argv[1:2] == ["test"]
    interpreter = packages.interpreter(ROOT, DEVELOPMENT if is_test else RUN)
    if is_test:
        testing.run(interpreter, ROOT, argv[2:])
    if interpreter != sys.executable:
        sys.stdout.flush()
        os.execv(interpreter, [interpreter, str(ROOT / "manage.py"), *argv[1:]])
