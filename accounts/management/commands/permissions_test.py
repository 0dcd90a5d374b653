"""Run tests of permission models."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.permissions import providers, testing
from accounts.permissions.language import Faulty
from core.errors import AppError


class Command(BaseCommand):
    help = (
        "Run tests of permission models: OpenFGA's store files (*.fga.yaml) and conformance tests. Nothing is kept. "
        "Exit code 0: all answers are right; 1: some are not; 2: a file cannot be read, or the server not be asked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="Test files.")
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")
        parser.add_argument(
            "--provider",
            choices=(providers.LOCAL, providers.OPENFGA),
            default=settings.PERMISSIONS_PROVIDER,
            help="Who is asked: our engine, or the server at OPENFGA_URL (PERMISSIONS_PROVIDER).",
        )
        parser.add_argument(
            "--contextual", action="store_true", help="Store no tuples: bring them along with each question."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tests, unreadable = read(options["files"])
        try:
            provider = providers.server() if options["provider"] == providers.OPENFGA else None
            results = [testing.run(test, is_given=options["contextual"], provider=provider) for test in tests]
        except AppError as fault:
            raise CommandError(fault.detail, returncode=2) from fault
        failures = [failure for result in results for failure in result.failures]
        asked = sum(result.asked for result in results)
        failed = sum(1 for result in results if result.failures)
        if options["json"]:
            document = {
                "tests": len(tests),
                "tests_failed": failed,
                "questions": asked,
                "failures": [asdict(failure) for failure in failures],
                "unreadable": unreadable,
            }
            self.stdout.write(json.dumps(document, indent=2))
        else:
            for line in [*unreadable, *map(str, failures)]:
                self.stdout.write(self.style.ERROR(line))
            right = len(tests) - failed
            self.stdout.write(f"{right} of {len(tests)} tests passed, {asked} questions, {len(failures)} failures.")
        if unreadable or failures:
            sys.exit(2 if unreadable else 1)


def read(files: Iterable[Path]) -> tuple[list[testing.Test], list[str]]:
    """Return the tests of all files, and what cannot be read. Raises CommandError when a file is not there."""
    tests: list[testing.Test] = []
    unreadable: list[str] = []
    for path in files:
        if not path.is_file():
            raise CommandError(f"There is no file {path}.", returncode=2)
        try:
            tests.extend(testing.read(path))
        except (testing.UnreadableFile, Faulty) as error:
            unreadable.append(f"{path.name}: {error}" if isinstance(error, Faulty) else str(error))
    return tests, unreadable
