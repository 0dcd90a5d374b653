"""Is the index well? It takes no process out of service: without it pages and lists still answer."""

from __future__ import annotations

from core.health import Finding, Status, probe
from search.selectors.state import state

FAR_BEHIND = 1000


@probe("search")
def search() -> Finding:
    """The index answers, and its follower keeps up with the event log."""
    found = state()
    inner = {
        "provider": found.provider,
        "documents": sum(found.documents.values()),
        "behind": found.behind,
        "by_type": dict(found.documents),
    }
    if found.is_parked:
        return Finding(Status.WARNING, "The follower search.index is parked: what changes is not indexed.", inner)
    if found.behind > FAR_BEHIND:
        return Finding(Status.WARNING, f"The index is {found.behind:,} events behind.", inner)
    return Finding(inner=inner)
