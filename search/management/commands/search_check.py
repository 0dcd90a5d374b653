"""Compare the index with the truth."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from audit.selectors import sealing
from search.documents import document_types
from search.selectors.state import state
from search.services import drift, indexing
from search.services.drift import Drift

_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Compare every document of the search index with what it would be if it were built now (missing, stale, or a "
        "ghost of what is gone), and look whether the index itself is whole. While the follower is behind, what it has "
        "not read yet is reported too. Exit codes: 0 all true (or repaired), 1 something differs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--type", action="append", choices=sorted(document_types), help="only this kind; repeatable"
        )
        parser.add_argument("--repair", action="store_true", help="build anew what differs")
        parser.add_argument("--json", action="store_true", dest="is_json", help="print the findings as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(stderr=True, quiet=options["is_json"])
        broken = drift.faults_inside()
        if broken and options["repair"]:
            drift.mend_inside()
        found: list[Drift] = []
        columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            for kind in indexing.kinds(options["type"]):
                task = progress.add_task(kind.label, total=None)
                one = drift.of(kind, partial(progress.advance, task))
                if options["repair"] and one.ids:
                    drift.repair(kind, one.ids)
                found.append(one)
        self._print(found, broken, is_json=options["is_json"], is_repaired=options["repair"])
        if (broken or any(one.ids for one in found)) and not options["repair"]:
            sys.exit(1)

    def _print(self, found: list[Drift], broken: list[str], *, is_json: bool, is_repaired: bool) -> None:
        behind = state().behind + sealing.lag().events  # what is not sealed is not read either
        if is_json:
            types = _as_payload(found)
            told = {"behind": behind, "is_repaired": is_repaired, "index": broken, "types": types}
            self.stdout.write(json.dumps(told))
            return
        for fault in broken:
            self.stdout.write(f"index: {fault}")
        for one in found:
            self.stdout.write(
                f"{one.type}: {one.checked} checked, {len(one.missing)} missing, {len(one.stale)} stale, "
                f"{len(one.ghosts)} ghosts"
            )
            public = document_types[one.type].public_id
            for word, ids in (("missing", one.missing), ("stale", one.stale), ("ghost", one.ghosts)):
                for each in ids[:_SHOWN]:
                    self.stdout.write(f"  {word} {public(each)}")
        if behind:
            self.stdout.write(
                f"{behind} events were not read yet: what they change is reported above. The relay reads them."
            )


def _as_payload(found: list[Drift]) -> dict[str, Any]:
    return {
        one.type: {
            "checked": one.checked,
            **{
                name: [document_types[one.type].public_id(each) for each in getattr(one, name)]
                for name in ("missing", "stale", "ghosts")
            },
        }
        for one in found
    }
