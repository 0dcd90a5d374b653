"""Whose questions they are, and what may go into an answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from django.db.models import Q, QuerySet

from ai.models import Question
from ai.states import OPEN
from ai.wording import asks_how_to
from core.actor import Actor
from search import selectors as search
from search.selectors import Passage

MOST_PASSAGES: Final = 8
_LOOKED_AT: Final = 24
_WEAKEST: Final = 0.4  # of the best
MOST_TEXT: Final = 12_000  # characters of all passages together
_GUIDES: Final = ("/help/how-to/", "/help/tutorial/")
_REFERENCE: Final = "/help/reference/"


def own(actor: Actor) -> QuerySet[Question]:
    """Return what `actor` asked. Nobody else sees a question, staff neither: it may quote whatever the asker sees."""
    return Question.objects.none() if actor.id is None else Question.objects.filter(asker_id=actor.id)


def passages(actor: Actor, text: str, *, types: Iterable[str] | None = None) -> list[Passage]:
    """Return what the asker may see and an answer may be made from, best first: few good ones rather than many weak
    ones. Who asks how something is done gets guides before reference tables and records."""
    near = search.passages(actor=actor, q=text, limit=_LOOKED_AT, types=types)
    if asks_how_to(text):
        near = [replace(passage, score=passage.score * _share(passage.url)) for passage in near]
        near.sort(key=lambda passage: -passage.score)
    found: list[Passage] = []
    left = MOST_TEXT
    for passage in near[:MOST_PASSAGES]:
        left -= len(passage.text)
        if left < 0 or passage.score < _WEAKEST * near[0].score:
            break
        found.append(passage)
    return found


def _share(url: str) -> float:
    """How much a source counts for a question that asks how."""
    return 1.0 if url.startswith(_GUIDES) else 0.5 if url.startswith(_REFERENCE) else 0.7


def abandoned(now: datetime) -> QuerySet[Question]:
    """Return open questions that nobody works on any more."""
    is_over = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    return Question.objects.filter(is_over, status__in=OPEN).order_by("pk")
