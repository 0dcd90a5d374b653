"""The index answers the admin's box: the best of every kind, each with the way to its page."""

from __future__ import annotations

from core.actor import Actor
from core.admin.html import admin_url, state_tone
from core.palette import Finding, Group, use_index
from search.documents import DocumentType
from search.selectors import Hit, best_of_each
from search.services.indexing import kinds

_PATIENCE = 0.1  # of the 0.3 seconds that all of the box's answer may take


def find_groups(actor: Actor, term: str, limit: int) -> list[Group]:
    """Return what the index finds, kind by kind in their order."""
    found = best_of_each(actor=actor, q=term, limit=limit, patience=_PATIENCE)
    return [
        Group(kind.label, kind.icon, [_finding(kind, hit) for hit in found[kind.name]])
        for kind in kinds()
        if kind.name in found
    ]


def _finding(kind: DocumentType, hit: Hit) -> Finding:
    keys = [each.text for each in hit.highlights if each.field == "keys"]
    about = [text for text in dict.fromkeys((hit.subtitle, *keys, hit.public_id)) if text and text != hit.title]
    status = hit.facets.get("status", "")
    # What has no page in the admin has one of its own (help pages).
    address = (admin_url(kind.model(pk=hit.id)) if kind.model is not None else "") or hit.url
    return Finding(hit.title, " · ".join(about), address, status, state_tone(status) if status else "neutral")


use_index(find_groups)
