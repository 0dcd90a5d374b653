"""From who asks to what the index may show: the permission of each kind of document, turned into a scope."""

from __future__ import annotations

from collections.abc import Iterable

from core import access
from core.actor import Actor
from search.documents import document_types
from search.providers.base import Grant, Scope


def known_types(names: Iterable[str] | None) -> list[str]:
    """Return the names that are kinds of documents, all when none are given."""
    return list(document_types) if names is None else [name for name in names if name in document_types]


def scope_of(actor: Actor, types: Iterable[str] | None = None) -> Scope:
    """Return what `actor` may find of `types` (all kinds, unless named). Documents without an organisation come only
    with a grant for everything; public ones with being signed in."""
    kinds = [document_types[name] for name in known_types(types)]
    reaches = access.reach(actor, {kind.permission for kind in kinds})
    by_reach: dict[access.Reach, set[str]] = {}
    for kind in kinds:
        reach = reaches[kind.permission]
        if reach != access.NOTHING:
            by_reach.setdefault(reach, set()).add(kind.name)
    grants = tuple(Grant(frozenset(names), reach.organizations, reach.rows) for reach, names in by_reach.items())
    public = frozenset() if actor.is_anonymous else frozenset(kind.name for kind in kinds)
    return Scope(grants, public)
