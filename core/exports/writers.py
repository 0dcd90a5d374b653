"""Files of rows, written one after the other: nothing is held but the row at hand.

CSV follows RFC 4180 (comma, quotes where needed, CRLF), in UTF-8. Text that a spreadsheet would read as a formula gets
an apostrophe before it (OWASP, "CSV Injection"). A workbook marks each cell as text, number or date: nothing in it is
read as a formula.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from core.exports.columns import Cell
from core.money import Money, exponent

ROWS_ON_SHEET: Final = 1_048_576
LONGEST_TEXT: Final = 32_767  # characters that a cell of a workbook holds
LARGEST_EXACT: Final = 10**15  # a spreadsheet keeps 15 digits of a number
_SIGNS: Final = "=+\\-@＝＋－＠"
_UNSEEN: Final = '\\s"\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff'
_FORMULA: Final = re.compile(f"[\t\r\n]|[{_UNSEEN}]*[{_SIGNS}]")
# Where the list separator is a semicolon (as in most of Europe) or a tab, a quote inside a line opens nothing: a cell
# may begin behind each of these.
_CELLS_WITHIN: Final = re.compile(f"([;\t\r\n][;{_UNSEEN}]*)([{_SIGNS}]?)")
_FIRST_YEAR: Final = 1900
_WIDTHS: Final = (12, 40)


class Writer(Protocol):
    def row(self, cells: Sequence[Cell]) -> None: ...

    def close(self) -> None: ...


def guarded(text: str) -> str:
    """Return text that no spreadsheet takes for a formula, whichever separator it splits lines at."""
    text = _CELLS_WITHIN.sub(lambda found: f"{found[1]}'{found[2]}" if found[2] else found[1], text)
    return f"'{text}" if _FORMULA.match(text) else text


def as_text(cell: Cell) -> str:
    """Return a cell as a CSV has it: decimal amounts, ISO 8601 moments in UTC, guarded text, "" for nothing."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return guarded(cell)
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, Money):
        return f"{cell.decimal:f}"
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    if isinstance(cell, datetime):
        return moment(cell)
    return cell.isoformat() if isinstance(cell, date) else guarded(str(cell))


def moment(value: datetime) -> str:
    """Return a moment by ISO 8601 in UTC, "2026-03-02T14:05:00.250000Z"."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class CsvWriter:
    """`has_mark` puts a byte order mark first, by which Excel knows UTF-8."""

    def __init__(self, path: Path, headers: Sequence[str], *, has_mark: bool) -> None:
        self._file = path.open("w", encoding="utf-8-sig" if has_mark else "utf-8", newline="")
        self._csv = csv.writer(self._file, lineterminator="\r\n")
        self.row(headers)

    def row(self, cells: Sequence[Cell]) -> None:
        self._csv.writerow([as_text(cell) for cell in cells])

    def close(self) -> None:
        self._file.close()


class XlsxWriter:
    """A workbook; a sheet that is full is followed by another with the same headers. Its own temporary files lie in
    the folder of `path`."""

    def __init__(self, path: Path, headers: Sequence[str], *, title: str, rows_on_sheet: int = ROWS_ON_SHEET) -> None:
        from xlsxwriter import Workbook  # a worker that writes none need not load it

        self._book = Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)})
        self._book.use_zip64()
        self._bold = self._book.add_format({"bold": True})
        self._moment = self._book.add_format({"num_format": 'yyyy-mm-dd hh:mm:ss "UTC"'})
        self._date = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._amounts: dict[int, Any] = {}
        self._headers, self._limit = headers, rows_on_sheet
        self._title = "".join(" " if character in "[]:*?/\\'" else character for character in title)[:25] or "Rows"
        self._open_sheet()

    def _open_sheet(self) -> None:
        number = len(self._book.worksheets()) + 1
        self._sheet = self._book.add_worksheet(self._title if number == 1 else f"{self._title} {number}")
        self._sheet.freeze_panes(1, 0)
        for index, header in enumerate(self._headers):
            self._sheet.set_column(index, index, min(max(len(header) + 4, _WIDTHS[0]), _WIDTHS[1]))
            self._sheet.write_string(0, index, header, self._bold)
        self._next = 1

    def row(self, cells: Sequence[Cell]) -> None:
        if self._next == self._limit:
            self._open_sheet()
        for index, cell in enumerate(cells):
            if cell is not None:
                self._write(self._next, index, cell)
        self._next += 1

    def _write(self, row: int, column: int, cell: Cell) -> None:
        sheet = self._sheet
        if isinstance(cell, str):
            sheet.write_string(row, column, cell[:LONGEST_TEXT])
        elif isinstance(cell, bool):
            sheet.write_boolean(row, column, cell)
        elif isinstance(cell, Money) and abs(cell.minor) < LARGEST_EXACT:
            sheet.write_number(row, column, float(cell.decimal), self._amount(cell.currency))
        elif isinstance(cell, int) and abs(cell) < LARGEST_EXACT:
            sheet.write_number(row, column, cell)
        elif isinstance(cell, datetime) and cell.year >= _FIRST_YEAR:
            sheet.write_datetime(row, column, cell.astimezone(UTC).replace(tzinfo=None), self._moment)
        elif isinstance(cell, date) and not isinstance(cell, datetime) and cell.year >= _FIRST_YEAR:
            sheet.write_datetime(row, column, cell, self._date)
        elif isinstance(cell, Decimal) and _is_exact(cell):
            sheet.write_number(row, column, float(cell))
        else:
            sheet.write_string(row, column, as_text(cell)[:LONGEST_TEXT])

    def _amount(self, currency: str) -> Any:
        places = exponent(currency)
        if places not in self._amounts:
            self._amounts[places] = self._book.add_format({"num_format": "0" + "." * (places > 0) + "0" * places})
        return self._amounts[places]

    def close(self) -> None:
        self._book.close()


def _is_exact(value: Decimal) -> bool:
    return value.is_finite() and len(value.as_tuple().digits) <= 15
