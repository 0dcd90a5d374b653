"""Finding: the one question that the API, the admin's box and others ask of the index."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import OperationalError

from core.actor import Actor
from search.documents import document_types
from search.providers import index
from search.providers.base import Found, Match, Place, Query
from search.selectors import highlights
from search.selectors.highlights import Highlight
from search.selectors.reach import known_types, scope_of

LONGEST_QUESTION = 200


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found. `score` is comparable within one question only."""

    type: str
    id: UUID
    public_id: str
    title: str
    subtitle: str
    highlights: list[Highlight]
    score: float
    url: str
    version: int
    facets: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Results:
    """A page of hits. `facets` counts everything that was found, by `type` (of all kinds) and by each declared facet
    (of the kinds asked for), the most frequent first; `total` counts the kinds asked for. `is_relaxed`: nothing had the
    words as they were typed, so these have parts of them, or were spelt otherwise."""

    hits: list[Hit]
    facets: Mapping[str, Mapping[str, int]]
    next: Place | None
    previous: Place | None
    total: int
    is_relaxed: bool = False


def find(
    *,
    actor: Actor,
    q: str,
    types: Iterable[str] | None = None,
    limit: int = 20,
    cursor: Place | None = None,
    facets: bool = True,
) -> Results:
    """Return what `q` finds of what the actor may find, best first.

    All words must be found, the last one by its beginning; ids, addresses and numbers by their beginning. When that
    finds nothing of the kinds asked for, parts of words and misspellings are tried. Two queries, or four, whatever is
    found.
    """
    query = Query(
        q[:LONGEST_QUESTION],
        scope_of(actor),
        types=None if types is None else frozenset(known_types(types)),
        limit=limit,
        after=cursor,
        is_relaxed=cursor is not None and cursor.is_relaxed,
        with_counts=facets,
    )
    found = index().find(query)
    if not found.matches and cursor is None:
        relaxed = replace(query, is_relaxed=True)
        more = index().find(relaxed)
        if more.matches:
            query, found = relaxed, more
    return _results(query, found)


def best_of_each(*, actor: Actor, q: str, limit: int, patience: float = 60.0) -> dict[str, list[Hit]]:
    """Return the best `limit` hits of every kind that has any: those with the words as typed, then, where these are
    few and came within `patience` (seconds), those with parts of the words or spelt otherwise."""
    query = Query(q[:LONGEST_QUESTION], scope_of(actor), each=limit, with_counts=False)
    start = time.monotonic()
    hits: dict[str, dict[UUID, Hit]] = {}
    _add(hits, query)
    if sum(map(len, hits.values())) < limit and time.monotonic() - start < patience:
        # What was found as it was typed is better than nothing, should the time be up now.
        with suppress(OperationalError):
            _add(hits, replace(query, is_relaxed=True))
    return {kind: list(found.values()) for kind, found in hits.items()}


def _add(hits: dict[str, dict[UUID, Hit]], query: Query) -> None:
    found = index().find(query)
    for match in found.matches:
        of_kind = hits.setdefault(match.type, {})
        if len(of_kind) < (query.each or 0):
            of_kind.setdefault(match.document.id, _hit(match, query, found))


def _results(query: Query, found: Found) -> Results:
    matches, after = found.matches, query.after
    is_backward = after is not None and after.is_backward
    has_next = bool(matches) and (found.has_more or is_backward)
    has_previous = bool(matches) and (found.has_more if is_backward else after is not None)
    counts = {"type": found.types, **found.facets}
    return Results(
        hits=[_hit(match, query, found) for match in matches],
        facets={
            name: dict(sorted(values.items(), key=lambda each: (-each[1], each[0]))) for name, values in counts.items()
        },
        next=_place(matches[-1], query, is_backward=False) if has_next else None,
        previous=_place(matches[0], query, is_backward=True) if has_previous else None,
        total=found.total,
        is_relaxed=query.is_relaxed,
    )


def _place(match: Match, query: Query, *, is_backward: bool) -> Place:
    return Place(match.score, match.document.id, match.type, query.is_relaxed, is_backward)


def _hit(match: Match, query: Query, found: Found) -> Hit:
    document, kind = match.document, document_types[match.type]
    return Hit(
        type=match.type,
        id=document.id,
        public_id=kind.public_id(document.id),
        title=document.title,
        subtitle=document.subtitle,
        highlights=highlights.of(document, found.words.keys(), query.text),
        score=match.score / 1_000_000,
        url=document.url,
        version=document.version,
        facets=document.facets,
    )
