"""`manage.py followers`: how far each follower has read."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.following import followers
from audit.models import Follower, FollowerState, Tree
from audit.services.following import reset
from core.actor import SYSTEM
from core.errors import NotFound


class Command(BaseCommand):
    help = "List the followers of the event log. Exit code 0; 1 when one is parked."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Write JSON.")
        parser.add_argument("--reset", metavar="NAME", help="Let a parked follower go on.")
        parser.add_argument("--position", type=int, help="With --reset: what it has read last; 0 reads all anew.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["reset"]:
            self._reset(options["reset"], options["position"])
        size = Tree.objects.values_list("size", flat=True).get()
        known = {row.name: row for row in Follower.objects.all()}
        rows = [known.get(name, Follower(name=name)) for name in sorted({*followers, *known})]
        if options["json"]:
            self.stdout.write(json.dumps([_document(row, size) for row in rows]))
        else:
            self._tell(rows, size)
        if any(row.state == FollowerState.PARKED for row in rows):
            raise SystemExit(1)

    def _reset(self, name: str, position: int | None) -> None:
        if position is not None and position < 0:
            raise CommandError("--position must not be negative.")
        try:
            reset(actor=SYSTEM, name=name, position=position)
        except NotFound as error:
            raise CommandError(error.detail) from None

    def _tell(self, rows: list[Follower], size: int) -> None:
        if not rows:
            self.stdout.write("No app declares a follower.")
        for row in rows:
            line = f"{row.name}  {row.state}  position {row.position} of {size}, {max(0, size - row.position)} behind"
            self.stdout.write(line if row.state == FollowerState.RUNNING else self.style.ERROR(f"{line}: {row.error}"))


def _document(row: Follower, size: int) -> dict[str, Any]:
    return {
        "name": row.name,
        "state": row.state,
        "position": row.position,
        "behind": max(0, size - row.position),
        "failures": row.failures,
        "error": row.error,
    }
