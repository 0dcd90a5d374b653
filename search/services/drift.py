"""Where the index and the truth differ: documents missing, stale, or ghosts of what is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from search.documents import DocumentType
from search.providers import index as provider
from search.services import indexing


@dataclass(slots=True)
class Drift:
    """What is wrong with the documents of one kind. `checked` counts objects and stored documents looked at."""

    type: str
    checked: int = 0
    missing: list[UUID] = field(default_factory=list)
    stale: list[UUID] = field(default_factory=list)
    ghosts: list[UUID] = field(default_factory=list)

    @property
    def ids(self) -> list[UUID]:
        """All objects whose document is wrong."""
        return [*self.missing, *self.stale, *self.ghosts]


def of(kind: DocumentType, progress: Callable[[int], None] = lambda _: None) -> Drift:
    """Compare every document of one kind with what it would be if it were built now. What is found wrong is looked at a
    second time, so that what the follower did meanwhile is not reported."""
    found = Drift(kind.name)
    for piece in indexing.pieces(kind.ids(), indexing.BATCH):
        _compare(kind, piece, found)
        found.checked += len(piece)
        progress(len(piece))
    for piece in indexing.pieces(provider().walk(kind.name), indexing.BATCH):
        gone = set(piece) - {document.id for document in kind.build(piece)}
        found.ghosts += sorted(gone)
        found.checked += len(gone)
    again = Drift(kind.name, found.checked)
    for piece in indexing.pieces(dict.fromkeys(found.ids), indexing.BATCH):
        _compare(kind, piece, again)
    return again


def faults_inside() -> list[str]:
    """Return what is broken inside the index itself, in words."""
    return list(provider().faults())


def mend_inside() -> None:
    """Make the index itself whole; then documents may be stale."""
    provider().mend()


def repair(kind: DocumentType, ids: Iterable[UUID]) -> indexing.Outcome:
    """Build the named objects anew, as the follower would."""
    return indexing.index(kind, ids)


def _compare(kind: DocumentType, ids: list[UUID], found: Drift) -> None:
    # Stored first: what is indexed in between is then at most looked at again.
    stored = provider().stored(kind.name, ids)
    built, _ = indexing.checked(kind, kind.build(ids))
    digests = {document.id: document.digest for document in built}
    for each in ids:
        if each in digests and each not in stored:
            found.missing.append(each)
        elif each in digests and stored[each].digest != digests[each]:
            found.stale.append(each)
        elif each not in digests and each in stored:
            found.ghosts.append(each)
