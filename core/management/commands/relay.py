"""`manage.py relay`: keeps the log and the jobs moving."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core.relay.loop import Relay


class Command(BaseCommand):
    help = (
        "Publish committed jobs, turn due schedules into jobs, seal events and run their followers. Several may run; "
        "one leads. Exit code 0; with --once 3 when another relay leads."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Do what is due now and end.")

    def handle(self, *args: Any, **options: Any) -> None:
        relay = Relay()
        if options["once"]:
            done = relay.run_once()
            if done < 0:
                self.stderr.write("Another relay leads.")
                raise SystemExit(3)
            self.stdout.write(f"{done} done.")
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, relay.stop)
        relay.run()
