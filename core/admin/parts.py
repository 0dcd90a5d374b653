"""What the pages of objects and lists are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import models


@dataclass(frozen=True, slots=True)
class Figure:
    """One key figure at the head of a page. `tone` colours it (success, warning, danger). `of` is the kind of rows that
    it sums up: who may not see such rows does not see it."""

    label: str
    value: object
    note: str = ""
    tone: str = ""
    of: type[models.Model] | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Related rows, the newest few, with a link to all of them; `empty` says what to do when there are none. `of` is
    the kind of rows: who may not see such rows sees no section of them."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    all_url: str = ""
    empty: str = "Nothing yet."
    icon: str = ""
    of: type[models.Model] | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of an object: a label and its value."""

    label: str
    value: object


@dataclass(frozen=True, slots=True)
class Empty:
    """What a list says when it has no rows at all: what this is, and what to do (a command to type, perhaps)."""

    title: str = "Nothing here yet"
    text: str = ""
    command: str = ""
    icon: str = field(default="inbox")
