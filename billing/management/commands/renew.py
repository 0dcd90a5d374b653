"""Renew what is due, also at a moment of one's choice."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware
from rich.console import Console
from rich.progress import Progress

from billing.selectors import renewals as selectors
from billing.services import renewals
from core import clock
from core.actor import SYSTEM
from core.telemetry.queries import in_bulk

_POLL_SECONDS = 0.5


class Command(BaseCommand):
    help = (
        "Enqueue one renewal for each subscription and period that is due, as the schedule of each minute does, at the "
        "present or another moment. Run it again: nothing new. Exit codes: 0 done, 1 a job failed for good (--wait), "
        "2 wrong arguments, 3 --timeout passed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--now", metavar="MOMENT", help="ISO 8601 with offset (2026-04-01T00:00:00Z).")
        parser.add_argument("--dry-run", action="store_true", help="Count only; nothing is written.")
        parser.add_argument("--wait", action="store_true", help="Wait until renewals and collections are done.")
        parser.add_argument("--timeout", type=int, default=3600, metavar="SECONDS", help="With --wait; default 3600.")
        parser.add_argument("--json", action="store_true", help="Print one JSON document, no progress bar.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = _moment(options["now"])
        if options["dry_run"]:
            self._print({"now": now.isoformat(), "due": sum(1 for _ in selectors.due(now))}, options["json"])
            return
        since = clock.now()
        with in_bulk():
            enqueued = renewals.enqueue_due(actor=SYSTEM, now=now)
        result: dict[str, Any] = {"now": now.isoformat(), "enqueued": enqueued}
        if options["wait"]:
            result |= self._wait(since, options["timeout"], is_quiet=options["json"])
        self._print(result, options["json"])
        if result.get("timed_out"):
            sys.exit(3)
        if result.get("dead"):
            sys.exit(1)

    def _wait(self, since: datetime, timeout: int, *, is_quiet: bool) -> dict[str, Any]:
        """Watch the jobs until none is open; catching up enqueues more on the way."""
        started = time.monotonic()
        console = Console(stderr=True)
        with Progress(console=console, disable=is_quiet or not console.is_terminal) as progress:
            bar = progress.add_task("Renewing and collecting")
            while True:
                counts = selectors.job_counts(since)
                progress.update(bar, total=counts.total, completed=counts.total - counts.open)
                seconds = round(time.monotonic() - started, 1)
                if not counts.open or seconds > timeout:
                    break
                time.sleep(_POLL_SECONDS)
        return {
            "jobs": counts.total,
            "dead": counts.dead,
            "open": counts.open,
            "seconds": seconds,
            "timed_out": bool(counts.open),
        }

    def _print(self, result: dict[str, Any], is_json: bool) -> None:
        if is_json:
            self.stdout.write(json.dumps(result))
        else:
            self.stdout.write("\n".join(_told(result)))


def _told(result: dict[str, Any]) -> Iterator[str]:
    """Yield what happened in words."""
    moment = datetime.fromisoformat(result["now"])
    if "due" in result:
        yield f"{result['due']:,} subscriptions are due at {moment:%Y-%m-%d %H:%M %Z}; nothing was written"
        return
    yield f"{result['enqueued']:,} renewals enqueued as of {moment:%Y-%m-%d %H:%M %Z}"
    if "jobs" in result:
        done = result["jobs"] - result["dead"] - result["open"]
        yield f"  {done:,} jobs done in {result['seconds']:,} s (a renewal and a collection are one each)"
        yield f"  {result['dead']:,} failed for good" + (
            ": see the dead letters in the admin" if result["dead"] else ""
        )
        if result["open"]:
            yield f"  {result['open']:,} still open; they go on by themselves"


def _moment(text: str | None) -> datetime:
    if text is None:
        return clock.now()
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or not is_aware(moment):
        raise CommandError(f"{text!r} is no moment with an offset, such as 2026-04-01T00:00:00Z.", returncode=2)
    return moment
