"""Build the index anew, beside the follower."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from core.ids import MalformedId, split
from search.documents import DocumentType, document_types
from search.providers import index as provider
from search.services import drift, indexing
from search.services.indexing import Outcome


class Command(BaseCommand):
    help = (
        "Build the documents of the search index anew, in batches that are committed one by one; what is gone is "
        "removed. It may be stopped and run again, and it may run while the product does. "
        "Exit codes: 0 done, 1 some documents were rejected (the log says why), 2 an option is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--type", action="append", choices=sorted(document_types), help="only this kind; repeatable"
        )
        parser.add_argument("--after", metavar="ID", help="go on behind this id (printed when it was stopped)")
        parser.add_argument("--dry-run", action="store_true", help="count what would change, write nothing")
        parser.add_argument("--json", action="store_true", dest="is_json", help="print the summary as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        kinds = indexing.kinds(options["type"])
        after = self._after(options["after"], kinds)
        console = Console(stderr=True, quiet=options["is_json"])
        work = self._rehearse if options["dry_run"] else self._reindex
        results: dict[str, Outcome] = {}
        columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            for kind in kinds:
                task = progress.add_task(kind.label, total=None)
                results[kind.name] = work(kind, after, partial(progress.advance, task))
        self._print(results, is_dry_run=options["dry_run"], is_json=options["is_json"])
        if any(result.rejected for result in results.values()):
            sys.exit(1)

    def _after(self, text: str | None, kinds: list[DocumentType]) -> UUID | None:
        if text is None:
            return None
        try:
            prefix, value = split(text)
        except MalformedId as fault:
            raise CommandError(str(fault), returncode=2) from None
        if [kind.prefix for kind in kinds] != [prefix]:
            raise CommandError("--after needs --type with the one kind whose ids look like that.", returncode=2)
        return value

    def _reindex(self, kind: DocumentType, after: UUID | None, advance: Any) -> Outcome:
        """Build all objects, then look at what is stored and has no object any more."""
        total, last = Outcome(), None
        try:
            for piece in indexing.pieces(_behind(kind, after), indexing.BATCH):
                total += indexing.index(kind, piece)
                last = piece[-1]
                advance(len(piece))
        except KeyboardInterrupt:
            if last is not None:
                self.stderr.write(f"Go on with: search_reindex --type {kind.name} --after {kind.public_id(last)}")
            raise
        for piece in indexing.pieces(provider().walk(kind.name), indexing.BATCH):
            gone = set(piece) - {document.id for document in kind.build(piece)}
            if gone:
                total += indexing.index(kind, sorted(gone))
        return total

    def _rehearse(self, kind: DocumentType, after: UUID | None, advance: Any) -> Outcome:
        found = drift.of(kind, advance)
        changed = len(found.missing) + len(found.stale)
        return Outcome(changed, len(found.ghosts), found.checked - changed - len(found.ghosts))

    def _print(self, results: dict[str, Outcome], *, is_dry_run: bool, is_json: bool) -> None:
        if is_json:
            kinds = {
                name: {
                    "changed": result.changed,
                    "removed": result.removed,
                    "unchanged": result.unchanged,
                    "rejected": result.rejected,
                }
                for name, result in results.items()
            }
            self.stdout.write(json.dumps({"is_dry_run": is_dry_run, "types": kinds}))
            return
        will = "would be " if is_dry_run else ""
        for name, result in results.items():
            self.stdout.write(
                f"{name}: {result.changed} {will}indexed, {result.removed} {will}removed, "
                f"{result.unchanged} unchanged, {result.rejected} rejected"
            )


def _behind(kind: DocumentType, after: UUID | None) -> Any:
    return kind.ids() if after is None else (each for each in kind.ids() if each > after)
