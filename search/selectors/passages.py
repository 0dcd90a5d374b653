"""Passages that answer a question: pieces of the bodies of documents, for whoever answers with citations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from core.actor import Actor
from search import analysis
from search.documents import document_types
from search.providers import index
from search.providers.base import Match, Query
from search.selectors.reach import known_types, scope_of

LONGEST = 900
_DOCUMENTS = 20
_PER_DOCUMENT = 3
_BREAK = re.compile(r"\n\s*\n")
_K1, _B, _AVERAGE = 1.2, 0.75, 80.0


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document's body, `body[start:end]` as it is stored, with the version of the document."""

    type: str
    id: UUID
    public_id: str
    title: str
    url: str
    version: int
    text: str
    start: int
    end: int
    score: float


def passages(*, actor: Actor, q: str, limit: int = 8, types: Iterable[str] | None = None) -> list[Passage]:
    """Return the passages that have most to do with the question `q`, the best first, of documents that the actor may
    find. Any of the words will do; rare ones count most (BM25 over passages, with the weights of the whole index)."""
    wanted = known_types(types)
    scope = scope_of(actor, wanted)
    query = Query(q, scope, types=frozenset(wanted), limit=max(_DOCUMENTS, limit), needs_all=False)
    found = index().find(query)
    pieces = [piece for match in found.matches for piece in _best_of(match, found.words)]
    pieces.sort(key=lambda piece: (-piece.score, piece.id, piece.start))
    return pieces[:limit]


def _best_of(match: Match, words: Mapping[str, float]) -> list[Passage]:
    document, kind = match.document, document_types[match.type]
    in_title = {word.stem for word in analysis.words(document.title)} & words.keys()
    # What a page is about by its title all its passages are about, a little.
    bonus = sum(words[stem] for stem in in_title) / 2
    scored = []
    for start, end in split(document.body):
        score = _score(document.body[start:end], words)
        if score > 0:
            scored.append((score + bonus, start, end))
    scored.sort(key=lambda each: (-each[0], each[1]))
    return [
        Passage(
            match.type, document.id, kind.public_id(document.id), document.title, document.url, document.version,
            document.body[start:end], start, end, round(score, 6),
        )
        for score, start, end in scored[:_PER_DOCUMENT]
    ]  # fmt: skip


def _score(text: str, words: Mapping[str, float]) -> float:
    counts: dict[str, int] = {}
    length = 0
    for word in analysis.words(text):
        length += 1
        if word.stem in words:
            counts[word.stem] = counts.get(word.stem, 0) + 1
    return sum(
        words[stem] * count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * length / _AVERAGE))
        for stem, count in counts.items()
    )


def split(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of the passages of a text: paragraphs, put together while they are short (a heading stays with
    what follows it) and cut at the end of a sentence where they are long. Blanks at the edges are left out."""
    start: int | None = None
    end = 0
    for low, high in _paragraphs(text):
        if start is not None and high - start > LONGEST:
            yield start, end
            start = None
        if start is None:
            start = low
        end = high
        while end - start > LONGEST:
            cut = _sentence_end(text, start, start + LONGEST)
            yield from _trimmed(text, start, cut)
            start = cut
    if start is not None:
        yield from _trimmed(text, start, end)


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    place = 0
    for match in [*_BREAK.finditer(text), None]:
        yield from _trimmed(text, place, match.start() if match else len(text))
        place = match.end() if match else len(text)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    inner = piece.strip()
    if inner:
        low = start + len(piece) - len(piece.lstrip())
        yield low, low + len(inner)


def _sentence_end(text: str, start: int, end: int) -> int:
    for mark in (". ", "\n", " "):
        place = text.rfind(mark, start + LONGEST // 2, end)
        if place > 0:
            return place + len(mark)
    return end
