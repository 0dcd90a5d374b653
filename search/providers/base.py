"""The port of the index: what every provider can do. One contract suite (tests/contracts/test_search.py) tests them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from search.documents import Document


@dataclass(frozen=True, slots=True)
class Grant:
    """Kinds of documents that the asker may find: of these organisations, or all there are (None); and these
    `documents`, wherever they belong."""

    types: frozenset[str]
    organizations: frozenset[UUID] | None
    documents: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Scope:
    """What the asker may find: what is granted, and the public documents of `public_types`."""

    grants: tuple[Grant, ...] = ()
    public_types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins or ends: beside the hit of this rank. `is_relaxed` remembers how the first page was found."""

    score: int
    id: UUID
    type: str
    is_relaxed: bool = False
    is_backward: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One question to the index.

    Every word must be found, the last one by its beginning too (`needs_all`; stop words need not be); otherwise any
    word will do. `is_relaxed` also takes parts of words and misspellings. `types` narrows hits, total and facets, but
    not the counts by type; `with_counts=False` leaves all counts out. `each` asks for that many of every type instead
    of `limit` over all. Scores are millionths.
    """

    text: str
    scope: Scope
    types: frozenset[str] | None = None
    limit: int = 20
    after: Place | None = None
    needs_all: bool = True
    is_relaxed: bool = False
    each: int | None = None
    with_counts: bool = True


@dataclass(frozen=True, slots=True)
class Match:
    """A document that was found, with its rank."""

    type: str
    document: Document
    score: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a question finds. `words` are the stems that were looked for, each with its weight; marks are made of them.
    `has_more` says whether hits lie beyond the page, in the direction that was asked for."""

    matches: Sequence[Match] = ()
    has_more: bool = False
    total: int = 0
    types: Mapping[str, int] = field(default_factory=dict)
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    words: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did: how many documents are new or changed, and how many went away."""

    changed: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """What the index has of one document, for the check of drift."""

    id: UUID
    version: int
    digest: bytes


class Provider(Protocol):
    """An index. It is derived: losing it loses nothing but time."""

    name: str

    def turn(self) -> AbstractContextManager[int]:
        """One build at a time: inside, rows are read and then written by `write`. Gives the build's stamp, which rises:
        what an older build says about a document never replaces what a newer one said."""
        ...

    def write(self, kind: str, documents: Sequence[Document], gone: Sequence[UUID], stamp: int) -> Written:
        """Store `documents` of one kind and remove those that are `gone`. Safe to repeat."""
        ...

    def find(self, query: Query) -> Found:
        """Answer, with nothing that the scope does not grant: neither hits nor counts."""
        ...

    def stored(self, kind: str, ids: Sequence[UUID]) -> Mapping[UUID, Stored]:
        """Return what is stored of the named documents."""
        ...

    def walk(self, kind: str) -> Iterator[UUID]:
        """Yield the ids of all stored documents of one kind, rising."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Return how many documents there are of each kind."""
        ...

    def faults(self) -> Sequence[str]:
        """Return in words what is broken inside the index itself; empty when it is whole."""
        ...

    def mend(self) -> None:
        """Make the index whole again. Documents that it cannot mend are stale from then on."""
        ...
