"""Import customers with their running subscriptions from a CSV file."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from billing.imports.mapping import Mapping, MappingInvalid, read
from billing.imports.rows import Reader, Rejection, Row
from billing.models import BillingEntity
from billing.selectors.catalog import sole_billing_entity
from billing.selectors.metrics import PER_MONTH
from billing.services import billing_entities, imports
from core import clock
from core.actor import SYSTEM
from core.errors import AppError
from core.money import Money, round_half_up
from core.telemetry.queries import in_bulk

DONE, SOME_REJECTED, UNUSABLE = 0, 1, 2


@dataclass
class Summary:
    """What the import came to."""

    as_of: date
    is_dry_run: bool
    rows: int = 0
    created: int = 0
    unchanged: int = 0
    active: int = 0
    canceled: int = 0
    rejected: int = 0
    revenue_minor: int = 0
    empty: dict[str, int] = field(default_factory=dict)

    def count(self, row: Row) -> None:
        if row.is_ended:
            self.canceled += 1
        else:
            self.active += 1
            self.revenue_minor += row.price.minor

    def monthly(self, mapping: Mapping) -> Money:
        """What the file's running subscriptions are worth a month."""
        exact = self.revenue_minor * PER_MONTH[mapping.interval] / mapping.interval_count
        return Money(round_half_up(exact), mapping.currency)


class Command(BaseCommand):
    help = (
        "Import customers with their running subscriptions from a CSV file, as docs/how-to/import-customers.md "
        "describes. It may be run again: what was imported stays as it is. Exit codes: 0 all rows are in, 1 some were "
        "rejected (see FILE.rejected.csv), 2 it stopped: the file or the mapping cannot be used."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--mapping", type=Path, required=True, help="which column is what (YAML)")
        parser.add_argument("--as-of", type=date.fromisoformat, help="the day the file speaks of; default: today")
        parser.add_argument("--billing-entity", help="who sells: id or invoice prefix; default: the only one")
        parser.add_argument("--dry-run", action="store_true", help="check every row, write nothing")
        parser.add_argument("--json", action="store_true", dest="is_json", help="print the summary as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        try:
            mapping = read(options["mapping"])
            as_of = options["as_of"] or now.astimezone(ZoneInfo(mapping.time_zone)).date()
            with options["file"].open(encoding="utf-8", newline="") as file:
                reader = Reader(mapping, as_of, file)
                entity = None if options["dry_run"] else self._entity(options["billing_entity"], mapping)
                with in_bulk():
                    summary = self._run(reader, entity, options["file"], now, is_quiet=options["is_json"])
        except MappingInvalid as error:
            self._fail(error.faults)
        except (OSError, UnicodeDecodeError) as error:
            self._fail([f"{options['file']}: {error}"])
        except AppError as error:
            self._fail([error.detail])
        self._print(summary, mapping, options["file"], is_json=options["is_json"])
        if summary.rejected:
            sys.exit(SOME_REJECTED)

    def _entity(self, text: str | None, mapping: Mapping) -> BillingEntity:
        found = sole_billing_entity(text)
        return found or billing_entities.create(
            actor=SYSTEM, legal_name="Main", country="US", default_currency=mapping.currency, invoice_prefix="INV"
        )

    def _run(
        self, reader: Reader, entity: BillingEntity | None, path: Path, now: datetime, *, is_quiet: bool
    ) -> Summary:
        summary = Summary(reader.as_of, entity is None)
        product = imports.product_for(actor=SYSTEM, mapping=reader.mapping) if entity is not None else None
        with _Rejects(path, reader.header) as rejects, self._progress(reader.file, path, is_quiet) as advance:
            for batch in _batches(reader):
                rows = [row for row in batch if isinstance(row, Row)]
                for rejection in batch:
                    if isinstance(rejection, Rejection):
                        rejects.write(rejection)
                if entity is not None and product is not None and rows:
                    done = imports.import_batch(
                        actor=SYSTEM,
                        billing_entity=entity,
                        product=product,
                        mapping=reader.mapping,
                        rows=rows,
                        now=now,
                    )
                    summary.created += done.created
                    summary.unchanged += done.unchanged
                summary.rows += len(batch)
                for row in rows:
                    summary.count(row)
                advance()
            summary.rejected = rejects.count
        summary.empty = dict(reader.empty)
        return summary

    def _progress(self, file: TextIO, path: Path, is_quiet: bool) -> _Bar:
        return _Bar(file, path, is_quiet=is_quiet or not sys.stderr.isatty())

    def _print(self, summary: Summary, mapping: Mapping, path: Path, *, is_json: bool) -> None:
        money = summary.monthly(mapping)
        rejected = str(_rejected_path(path)) if summary.rejected else None
        if is_json:
            figures = {
                "as_of": summary.as_of.isoformat(),
                "is_dry_run": summary.is_dry_run,
                "rows": summary.rows,
                "created": summary.created,
                "unchanged": summary.unchanged,
                "rejected": summary.rejected,
                "active": summary.active,
                "canceled": summary.canceled,
                "monthly_recurring_revenue": {"amount_minor": money.minor, "currency": money.currency},
                "empty_cells_of_ignored_columns": summary.empty,
                "rejected_file": rejected,
            }
            self.stdout.write(json.dumps(figures))
            return
        lines = [
            f"{summary.rows:,} rows as of {summary.as_of}" + (" (dry run: nothing was written)" * summary.is_dry_run),
            f"  {summary.created:,} customers created, {summary.unchanged:,} were there already",
            f"  {summary.active:,} active subscriptions, {summary.canceled:,} cancelled",
            f"  {money.format()} monthly recurring revenue",
            f"  {summary.rejected:,} rows rejected" + (f": see {rejected}" if rejected else ""),
        ]
        lines += [f"  {count:,} rows without {column} (ignored)" for column, count in sorted(summary.empty.items())]
        self.stdout.write("\n".join(lines))

    def _fail(self, faults: list[str]) -> None:
        self.stderr.write("The import stopped:\n" + "\n".join(f"  {n}. {text}" for n, text in enumerate(faults, 1)))
        sys.exit(UNUSABLE)


class _Bar:
    """A progress bar by bytes read, on a terminal only."""

    def __init__(self, file: TextIO, path: Path, *, is_quiet: bool) -> None:
        self._file = file
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), disable=is_quiet)
        self._task = self._progress.add_task("Importing", total=path.stat().st_size)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __call__(self) -> None:
        self._progress.update(self._task, completed=self._file.buffer.tell())

    def __exit__(self, *args: object) -> None:
        self._progress.stop()


class _Rejects:
    """The file of rejected lines, made when there is one; that of an earlier run is removed."""

    def __init__(self, path: Path, header: list[str]) -> None:
        self._path, self._header = _rejected_path(path), header
        self._file: TextIO | None = None
        self.count = 0

    def __enter__(self) -> _Rejects:
        self._path.unlink(missing_ok=True)
        return self

    def write(self, rejection: Rejection) -> None:
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8", newline="")
            self._csv = csv.writer(self._file)
            self._csv.writerow(["line", "column", "reason", *self._header])
        self._csv.writerow([rejection.line, rejection.column, rejection.reason, *rejection.cells])
        self.count += 1

    def __exit__(self, *args: object) -> None:
        if self._file is not None:
            self._file.close()


def _rejected_path(path: Path) -> Path:
    """Beside the file; in the present folder when that one cannot be written."""
    folder = path.parent if os.access(path.parent, os.W_OK) else Path.cwd()
    return folder / f"{path.name}.rejected.csv"


def _batches(reader: Iterable[Row | Rejection]) -> Iterator[list[Row | Rejection]]:
    """Split into batches of 500."""
    iterator = iter(reader)
    while batch := list(islice(iterator, imports.LARGEST_BATCH)):
        yield batch
