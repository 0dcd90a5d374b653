"""Whose questions they are, and what may go into an answer."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db.models import Q, QuerySet

from ai.models import Question
from ai.states import OPEN
from core.actor import Actor
from search import selectors as search
from search.selectors import Passage

MOST_PASSAGES: Final = 8
MOST_TEXT: Final = 12_000  # characters of all passages together


def own(actor: Actor) -> QuerySet[Question]:
    """Return what `actor` asked. Nobody else sees a question, staff neither: it may quote whatever the asker sees."""
    return Question.objects.none() if actor.id is None else Question.objects.filter(asker_id=actor.id)


def passages(actor: Actor, text: str) -> list[Passage]:
    """Return what the asker may see and an answer may be made from, best first."""
    found: list[Passage] = []
    left = MOST_TEXT
    for passage in search.passages(actor=actor, q=text, limit=MOST_PASSAGES):
        left -= len(passage.text)
        if left < 0:
            break
        found.append(passage)
    return found


def abandoned(now: datetime) -> QuerySet[Question]:
    """Return open questions that nobody works on any more."""
    is_over = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    return Question.objects.filter(is_over, status__in=OPEN).order_by("pk")
