"""Keeping the index true: build documents anew, and store or remove them.

The index is derived, so nothing here is a command and nothing is recorded: the events that led here are. All builds go
through `index`, the follower's and the reindex's alike, one at a time (`Provider.turn`): rows are read after the turn
has begun, so whoever comes later has read newer rows, and whoever read older ones never writes over them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

import structlog

from search.documents import Document, DocumentType, document_types
from search.providers import index as provider

BATCH = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some objects: documents new or changed, removed, left as they were, and rejected."""

    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    rejected: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.changed + other.changed,
            self.removed + other.removed,
            self.unchanged + other.unchanged,
            self.rejected + other.rejected,
        )

    @property
    def seen(self) -> int:
        return self.changed + self.removed + self.unchanged + self.rejected


def index(kind: DocumentType, ids: Iterable[UUID]) -> Outcome:
    """Build the named objects anew and store them; what cannot be built any more is removed. In pieces of 500, each in
    a transaction of its own. Safe to repeat and to run from several processes."""
    total = Outcome()
    for piece in pieces(dict.fromkeys(ids), BATCH):
        total += _index_piece(kind, piece)
    return total


def pieces(ids: Iterable[UUID], size: int) -> Iterator[list[UUID]]:
    """Yield `ids` in lists of `size`."""
    source = iter(ids)
    while piece := list(islice(source, size)):
        yield piece


def _index_piece(kind: DocumentType, ids: Sequence[UUID]) -> Outcome:
    answering = provider()
    with answering.turn() as stamp:
        documents, rejected = checked(kind, kind.build(ids))
        built = {document.id for document in documents}
        gone = [each for each in ids if each not in built]
        written = answering.write(kind.name, documents, gone, stamp)
    unchanged = len(ids) - written.changed - written.removed - rejected
    return Outcome(written.changed, written.removed, max(0, unchanged), rejected)


def checked(kind: DocumentType, built: Iterable[Document]) -> tuple[list[Document], int]:
    """Return the documents that can be stored and how many cannot; each of these is logged with its reason, and the
    others go on."""
    good, rejected = [], 0
    for document in built:
        fault = fault_of(document)
        if fault:
            rejected += 1
            log.error("search_document_rejected", type=kind.name, id=kind.public_id(document.id), fault=fault)
        else:
            good.append(document)
    return good, rejected


def fault_of(document: Document) -> str:
    """Return what is wrong with a document, "" when nothing is."""
    texts = (document.title, document.subtitle, document.body, document.url, *document.keys)
    if not document.title.strip():
        return "It has no title."
    if not all(isinstance(value, str) for value in document.facets.values()):
        return "A facet is not text."
    if any("\x00" in text for text in (*texts, *document.facets.values())):
        return "It holds NUL."
    return ""


def kinds(names: Sequence[str] | None = None) -> list[DocumentType]:
    """Return the named kinds of documents, all without names, in their order. Raises KeyError for an unknown one."""
    chosen = document_types.values() if names is None else [document_types[name] for name in names]
    return sorted(chosen, key=lambda kind: (kind.order, kind.name))
