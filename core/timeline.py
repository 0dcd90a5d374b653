"""What happened to an object, as people read it. `audit` knows the events; the admin's site hands them to the pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One field that changed, in words."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event as a line of a timeline. `actor` is a label for people, `url` leads to the event itself."""

    id: str
    type: str
    text: str
    occurred_at: datetime
    actor: str
    source: str = ""
    reason: str = ""
    changes: tuple[Change, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    is_refusal: bool = False
    url: str = ""
    subject: str = ""
    subject_url: str = ""


def words(value: Any) -> str:
    """Return a value of an event as people read it: nothing as a dash, truth as yes or no, lists with commas."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(words(item) for item in value) or "–"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {words(item)}" for key, item in value.items()) or "–"
    return str(value)
