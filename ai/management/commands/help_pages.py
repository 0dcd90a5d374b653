"""`manage.py help_pages`: what stands in docs/ becomes what can be found and cited."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ai.services import help_pages
from core import clock
from core.actor import SYSTEM


class Command(BaseCommand):
    help = "Publish the help pages (docs/) of this version: new and changed sections are indexed, gone ones removed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the counts as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        counts = asdict(help_pages.publish(actor=SYSTEM, now=clock.now()))
        if options["json"]:
            self.stdout.write(json.dumps(counts))
        elif options["verbosity"] > 0:
            self.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()) + ".")
