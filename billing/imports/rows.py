"""Rows of an imported file, read by a mapping: each becomes a `Row`, or a `Rejection` that says why not."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import TextIO
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from billing.imports.mapping import Mapping, MappingInvalid
from billing.models import PaymentMethodKind
from billing.periods import Cadence, Period, add_months
from core.money import LARGEST_MINOR, Money

LONGEST_TENURE = 1200


@dataclass(frozen=True, slots=True)
class Row:
    """A customer with its subscription. `ended_at` is None for one that runs or whose end is not known."""

    line: int
    external_id: str
    name: str
    email: str
    price: Money
    started_at: datetime
    period: Period
    is_ended: bool
    ended_at: datetime | None
    term: str
    method_label: str
    method_kind: str
    method_reference: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that cannot be taken: the column at fault, and why."""

    line: int
    column: str
    reason: str
    cells: tuple[str, ...] = ()


class _Bad(ValueError):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


@dataclass
class Reader:
    """Reads a file line by line. `empty` counts empty cells of ignored columns: they may matter to who imports."""

    mapping: Mapping
    as_of: date
    file: TextIO
    empty: Counter[str] = field(default_factory=Counter)
    header: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._csv = csv.reader(self.file)
        try:
            self.header = next(self._csv)
        except StopIteration:
            raise MappingInvalid(["the file of customers is empty"]) from None
        if self.header:
            self.header[0] = self.header[0].removeprefix("\ufeff")
        self.mapping.check_header(self.header)
        self._zone = ZoneInfo(self.mapping.time_zone)
        self._cadence = Cadence(self.mapping.interval, self.mapping.interval_count, self.mapping.time_zone)
        self._seen: dict[str, int] = {}

    def __iter__(self) -> Iterator[Row | Rejection]:
        while True:
            try:
                cells = next(self._csv)
            except StopIteration:
                return
            except csv.Error as error:
                yield Rejection(self._csv.line_num, "", f"not readable as CSV: {error}")
                continue
            if cells:
                yield self._parse(self._csv.line_num, cells)

    def _parse(self, line: int, cells: list[str]) -> Row | Rejection:
        if len(cells) != len(self.header):
            reason = f"has {len(cells)} cells, the first line has {len(self.header)}"
            return Rejection(line, "", reason, tuple(cells))
        values = {column: cell.strip() for column, cell in zip(self.header, cells, strict=True)}
        try:
            row = self._row(line, values)
        except _Bad as error:
            return Rejection(line, error.column, error.reason, tuple(cells))
        self.empty.update(column for column in self.mapping.ignored if not values.get(column, "-"))
        return row

    def _row(self, line: int, values: dict[str, str]) -> Row:
        mapping = self.mapping
        external_id = _text(values, mapping.external_id_column, 200)
        if external_id in self._seen:
            raise _Bad(mapping.external_id_column, f"{external_id!r} stands in line {self._seen[external_id]} already")
        started_at = self._started(values)
        if started_at > self._midnight(self.as_of):
            raise _Bad(mapping.started_column, f"{values[mapping.started_column]!r} lies after {self.as_of}")
        is_ended, ended_at = self._ended(values, started_at)
        moment = ended_at or self._midnight(self.as_of)
        label = values[mapping.method_column][:100] if mapping.method_column else ""
        row = Row(
            line=line,
            external_id=external_id,
            name=_text(values, mapping.name_column, 200),
            email=_email(values, mapping.email_column),
            price=_amount(values, mapping),
            started_at=started_at,
            period=self._cadence.period_at(started_at, moment),
            is_ended=is_ended,
            ended_at=ended_at,
            term=values[mapping.term_column][:100] if mapping.term_column else "",
            method_label=label,
            method_reference=_reference(values, mapping),
            method_kind=mapping.method_kinds.get(label, PaymentMethodKind.OTHER.value),
        )
        self._seen[external_id] = line
        return row

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time.min, self._zone).astimezone(UTC)

    def _started(self, values: dict[str, str]) -> datetime:
        column = self.mapping.started_column
        text = _text(values, column, 100)
        if not self.mapping.started_is_months:
            return self._midnight(self._day(column, text))
        if not text.isdecimal() or not text.isascii() or len(text) > 6 or int(text) > LONGEST_TENURE:
            raise _Bad(column, f"{text!r} is no number of months (0 to {LONGEST_TENURE})")
        return self._midnight(add_months(datetime.combine(self.as_of, time.min), -int(text)).date())

    def _ended(self, values: dict[str, str], started_at: datetime) -> tuple[bool, datetime | None]:
        mapping = self.mapping
        text = values[mapping.ended_on_column] if mapping.ended_on_column else ""
        ended_at = self._midnight(self._day(mapping.ended_on_column or "", text)) if text else None
        if ended_at is not None and ended_at < started_at:
            raise _Bad(mapping.ended_on_column or "", f"{text!r} lies before the start")
        if ended_at is not None and ended_at > self._midnight(self.as_of):
            raise _Bad(mapping.ended_on_column or "", f"{text!r} lies after {self.as_of}")
        if mapping.ended_column is None:
            return ended_at is not None, ended_at
        is_ended = values[mapping.ended_column] in mapping.ended_values
        return is_ended, ended_at if is_ended else None

    def _day(self, column: str, text: str) -> date:
        try:
            return datetime.strptime(text, self.mapping.started_format).replace(tzinfo=UTC).date()
        except ValueError:
            raise _Bad(column, f"{text!r} is no date of the form {self.mapping.started_format}") from None


def _text(values: dict[str, str], column: str, longest: int) -> str:
    text = values[column]
    if not text:
        raise _Bad(column, "is empty")
    if len(text) > longest or "\0" in text:
        raise _Bad(column, f"is longer than {longest} characters" if len(text) > longest else "holds a NUL character")
    return text


def _email(values: dict[str, str], column: str | None) -> str:
    text = values[column] if column else ""
    if text:
        try:
            validate_email(text)
        except ValidationError:
            raise _Bad(column or "", f"{text!r} is no e-mail address") from None
    return text


def _reference(values: dict[str, str], mapping: Mapping) -> str:
    if mapping.method_reference_column is None:
        return mapping.method_reference
    return _text(values, mapping.method_reference_column, 200)


def _amount(values: dict[str, str], mapping: Mapping) -> Money:
    column = mapping.amount_column
    try:
        money = Money.parse(_text(values, column, 40), mapping.currency)
    except ValueError as error:
        if isinstance(error, _Bad):
            raise
        raise _Bad(column, str(error)) from None
    if not 0 <= money.minor <= LARGEST_MINOR:
        raise _Bad(column, f"{values[column]!r} is negative or too large")
    return money
