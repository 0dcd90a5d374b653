"""The search index in tests that do not run the relay."""

from __future__ import annotations

from search.services import indexing


def index_everything() -> None:
    """Build what the follower would have built from the events."""
    for kind in indexing.kinds():
        indexing.index(kind, kind.ids())
