"""A page of a long list, and the place from which the next one goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from accounts.permissions.faults import Code, Refused

MOST: Final = 1000  # items of a page


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list in the order of its ids. `next` is what to ask for as `after`, None when `is_complete`: then the
    list ends here."""

    items: tuple[str, ...]
    next: str | None
    is_complete: bool


def check_limit(limit: int) -> None:
    """Raise Refused (2000) when a page cannot have so many items."""
    if not 1 <= limit <= MOST:
        raise Refused(Code.VALIDATION, f"A page has 1 to {MOST} items, not {limit}.")


def id_of(after: str | None) -> str:
    """The id behind which a page begins, of an id or of an item (`document:1`, `group:eng#member`)."""
    return (after or "").rpartition(":")[2].partition("#")[0]


def page(items: Iterable[str], limit: int) -> Page:
    """Make a page of up to `limit` + 1 items, the last of which only says that there are more."""
    found = tuple(items)
    if len(found) <= limit:
        return Page(found, None, is_complete=True)
    return Page(found[:limit], id_of(found[limit - 1]), is_complete=False)
