"""`manage.py doctor`: is everything here well? Exit code 0: yes; 1: something has failed; 2: warnings only."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.health import Status
from project import doctor

_COLOURS = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "red"}


class Command(BaseCommand):
    help = "Say what each provider is and whether it is well. Exit code: 0 well, 1 something failed, 2 warnings only."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        lines = doctor.examine()
        code = exit_code(lines)
        if options["json"]:
            document = {"exit_code": code, "checks": [line.as_payload() for line in lines]}
            self.stdout.write(json.dumps(document, indent=1, default=str))
        else:
            terminal: Any = self.stdout._out
            Console(file=terminal).print(table(lines))
        if code:
            sys.exit(code)


def exit_code(lines: list[doctor.Line]) -> int:
    """Return 1 when anything has failed, else 2 when anything warns, else 0."""
    found = {line.status for line in lines}
    return 1 if Status.FAILED in found else 2 if Status.WARNING in found else 0


def table(lines: list[doctor.Line]) -> Table:
    """Return what people read."""
    found = Table(box=None, pad_edge=False)
    for heading in ("", "what", "provider", "ms", "finding"):
        found.add_column(heading, justify="right" if heading == "ms" else "left")
    for line in lines:
        time = "" if line.milliseconds is None else f"{line.milliseconds:.1f}"
        colour = _COLOURS[line.status]
        found.add_row(f"[{colour}]{line.status}[/]", line.name, line.kind, time, escape(line.detail))
    return found
