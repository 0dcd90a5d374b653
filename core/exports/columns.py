"""What stands in the columns of an export: the values behind what the list shows, typed, and the same for all rows."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from django.contrib.admin.utils import label_for_field
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Model
from django.utils.html import strip_tags
from django.utils.safestring import SafeString

from core.admin.html import NOTHING, Linked, Shown
from core.ids import encode
from core.money import Money

F = TypeVar("F", bound=Callable[..., Any])
Cell: TypeAlias = object

PUBLIC_ID = "public_id"
_IDENTIFIER = "identifier"


class Kind(StrEnum):
    """Money takes two columns, amount and currency; what links to an object takes two, its name and its public id."""

    PLAIN = "plain"
    MONEY = "money"
    LINK = "link"


def exports_as(kind: Kind) -> Callable[[F], F]:
    """Say of a method in `list_display` what it shows. The header follows from this and never from the rows."""

    def mark(function: F) -> F:
        function.exports_as = kind  # type: ignore[attr-defined]
        return function

    return mark


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a list: `name` as `list_display` has it, and how its value is got from a row."""

    name: str
    label: str
    kind: Kind
    value: Callable[[Any], Any]

    @property
    def headers(self) -> list[str]:
        second = {Kind.MONEY: "currency", Kind.LINK: "id"}.get(self.kind)
        return [self.label, f"{self.label} {second}"] if second else [self.label]

    def cells(self, row: Model) -> tuple[Cell, ...]:
        """Return what stands in this row: one cell, or two."""
        value = plain(self.value(row))
        if self.kind is Kind.PLAIN:
            return (_alone(value),)
        if isinstance(value, Money):
            return value, value.currency
        if isinstance(value, Linked):
            return value.text, value.public_id or None
        return (_alone(value), None)


def columns_of(model_admin: Any, listed: Sequence[str]) -> list[Column]:
    """Return the columns of a list, with that of the public id, without which no row can be found again."""
    found = [_column(model_admin, name) for name in listed]
    prefix = getattr(model_admin.model, "id_prefix", "")
    if prefix and _IDENTIFIER not in listed:
        found.append(Column(PUBLIC_ID, "Id", Kind.PLAIN, lambda row: encode(prefix, row.pk)))
    return found


def _column(model_admin: Any, name: str) -> Column:
    label = str(label_for_field(name, model_admin.model, model_admin))
    label = label[:1].upper() + label[1:]
    try:
        field = model_admin.opts.get_field(name)
    except FieldDoesNotExist:
        method = getattr(model_admin, name, None)
        kind = getattr(method, "exports_as", Kind.PLAIN)
        prefix = getattr(model_admin.model, "id_prefix", "")
        if name == _IDENTIFIER and prefix:
            return Column(name, label, Kind.PLAIN, lambda row: encode(prefix, row.pk))
        return Column(name, label, kind, method if callable(method) else _of_model(name))
    return Column(name, label, _kind_of(field), lambda row: getattr(row, name))


def _of_model(name: str) -> Callable[[Any], Any]:
    def value(row: Any) -> Any:
        found = getattr(row, name)
        return found() if callable(found) else found

    return value


def _kind_of(field: Any) -> Kind:
    return Kind.LINK if isinstance(field, Field) and field.is_relation else Kind.PLAIN


def plain(value: Any) -> Any:
    """Return what a cell of a list stands for: its value, or its words without the looks; None for nothing."""
    if isinstance(value, Shown):
        return value.value
    if isinstance(value, Model):
        return Linked(str(value), getattr(value, "public_id", ""))
    if isinstance(value, SafeString):
        value = html.unescape(strip_tags(value)).strip()
    return None if value in (NOTHING, None, "") else value


def _alone(value: Any) -> Cell:
    """What is said in one column that usually takes two."""
    if isinstance(value, Money):
        return f"{value.decimal:f} {value.currency}"
    return value.text if isinstance(value, Linked) else value
