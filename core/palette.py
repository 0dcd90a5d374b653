"""The box that finds anything from every page. It asks the search index, and finders that apps register in
`AppConfig.ready()` for what is not indexed; each uses an index of its own.

An id pasted whole leads straight to its object, whatever it is: its prefix names the table. So what was made just now
is found before anything has indexed it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.db import OperationalError, connection, transaction
from django.db.models import Model

from core.access import sees
from core.actor import Actor
from core.admin.html import admin_url
from core.ids import MalformedId, split

FOUND_OF_A_KIND: Final = 10
TIME_FOR_ALL_MS: Final = 300
SHORTEST_TERM: Final = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: what it is called, what tells it from others, and where it is."""

    title: str
    subtitle: str
    url: str
    state: str = ""
    tone: str = "neutral"

    def as_payload(self) -> dict[str, str]:
        return {"title": self.title, "subtitle": self.subtitle, "url": self.url, "state": self.state, "tone": self.tone}


Find = Callable[[str, int], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Finder:
    """How one kind of thing is found: `find(term, limit)` answers through an index, at most `limit` of them."""

    kind: str
    icon: str
    find: Find
    order: int = 100


@dataclass(frozen=True, slots=True)
class Group:
    """What was found of one kind."""

    kind: str
    icon: str
    items: list[Finding]

    def as_payload(self) -> dict[str, Any]:
        return {"kind": self.kind, "icon": self.icon, "items": [item.as_payload() for item in self.items]}


# How the index answers: the groups that `actor` may see, the best of each, at most `limit`.
FindGroups = Callable[[Actor, str, int], list[Group]]

_finders: dict[str, Finder] = {}
_index: FindGroups | None = None


def use_index(find_groups: FindGroups) -> None:
    """Let the box ask the search index; called once, by `search`, when the apps are ready."""
    global _index
    _index = find_groups


def finder(kind: str, *, icon: str, order: int = 100) -> Callable[[Find], Find]:
    """Register a finder of `kind` ("Customers"); lower `order` stands higher."""

    def register(find: Find) -> Find:
        _finders[kind] = Finder(kind, icon, find, order)
        return find

    return register


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found. `go` is the one page that an id pasted whole means; `is_complete` is False when the time
    was up before all finders had answered."""

    groups: list[dict[str, Any]]
    go: str = ""
    is_complete: bool = True

    def as_payload(self) -> dict[str, Any]:
        return {"groups": self.groups, "go": self.go, "is_complete": self.is_complete}


def find(term: str, *, actor: Actor) -> Answer:
    """Return what `term` finds of what `actor` may see: at most 10 of each kind, within 300 ms for all together."""
    wanted = " ".join(term.replace("\x00", "").split())[:200]
    direct = _by_id(wanted, actor)
    if direct is not None:
        return direct
    if len(wanted) < SHORTEST_TERM:
        return Answer([])
    end = time.monotonic() + TIME_FOR_ALL_MS / 1000
    asked: list[Ask] = [_as_groups(one) for one in sorted(_finders.values(), key=lambda one: (one.order, one.kind))]
    if _index is not None:
        asked.insert(0, functools.partial(_index, actor))
    groups: list[Group] = []
    is_complete = True
    for ask in asked:
        left = int((end - time.monotonic()) * 1000)
        found = _bounded(ask, wanted, left) if left > 0 else None
        is_complete = is_complete and found is not None
        groups += found or []
    return Answer([group.as_payload() for group in groups if group.items], is_complete=is_complete)


Ask = Callable[[str, int], list[Group]]


def _as_groups(one: Finder) -> Ask:
    def ask(term: str, limit: int) -> list[Group]:
        return [Group(one.kind, one.icon, list(one.find(term, limit))[:limit])]

    return ask


def _bounded(ask: Ask, term: str, milliseconds: int) -> list[Group] | None:
    """Ask; PostgreSQL itself ends a query that takes too long (then None)."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
            return ask(term, FOUND_OF_A_KIND)
    except OperationalError:
        return None


@functools.cache
def _models_by_prefix() -> dict[str, type[Model]]:
    """Every table whose rows have an id that people see: entities, and what is like them (events)."""
    return {prefix: model for model in apps.get_models() if (prefix := getattr(model, "id_prefix", ""))}


def _by_id(term: str, actor: Actor) -> Answer | None:
    try:
        prefix, key = split(term)
    except MalformedId:
        return None
    model = _models_by_prefix().get(prefix)
    found = model._base_manager.filter(pk=key).first() if model is not None else None
    if found is None or not sees(actor, found):
        return Answer([])
    address = admin_url(found)
    item = Finding(str(found), f"{found._meta.verbose_name} {term}", address)
    return Answer([Group("This id", "tag", [item]).as_payload()], go=address)
