"""`manage.py audit_verify`: is the log what was sealed?"""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.progress import Progress

from audit.services.verification import Report, verify


class Command(BaseCommand):
    help = (
        "Recompute every leaf, position, node and the root of the event log. "
        "Exit code 0: sound. 1: it was changed. 2: it is not the log whose root was expected."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Write the result as JSON.")
        parser.add_argument("--expected-root", metavar="HEX", help="The root that somebody noted down at this size.")

    def handle(self, *args: Any, **options: Any) -> None:
        report = self._verified(is_quiet=options["json"] or not sys.stderr.isatty())
        expected = options["expected_root"]
        is_expected = expected is None or expected.lower() == report.root.hex()
        faults = [{"kind": fault.kind, "where": fault.where} for fault in report.faults]
        result = {"is_sound": report.is_sound, "size": report.size, "root": report.root.hex(), "faults": faults}
        if options["json"]:
            self.stdout.write(json.dumps(result | {"is_expected_root": is_expected}))
        else:
            self._tell(report, is_expected)
        if not report.is_sound:
            raise SystemExit(1)
        if not is_expected:
            raise SystemExit(2)

    def _verified(self, *, is_quiet: bool) -> Report:
        if is_quiet:
            return verify()
        console = Console(stderr=True)
        with Progress(console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("Verifying", total=None)
            return verify(lambda done, total: bar.update(task, completed=done, total=total))

    def _tell(self, report: Report, is_expected: bool) -> None:
        for fault in report.faults:
            self.stdout.write(self.style.ERROR(f"{fault.kind} {fault.where}: not as it was sealed"))
        word = "sound" if report.is_sound else f"NOT SOUND, {len(report.faults)} faults"
        self.stdout.write(f"{report.size} events sealed, {word}. Root {report.root.hex()}")
        if not is_expected:
            self.stdout.write(self.style.ERROR("The root is not the expected one."))
