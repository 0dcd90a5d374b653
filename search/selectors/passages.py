"""Passages that answer a question: pieces of the bodies of documents, for whoever answers with citations.

A passage is ranked by its own words and by the heading that it stands under: BM25F (S. Robertson, H. Zaragoza, The
Probabilistic Relevance Framework: BM25 and Beyond, 2009, section 3.6), whose fields are title, subtitle and passage,

    score(P) = sum over words w of  idf(w) * t / (k1 + t)
    t = sum over fields of  v * f(w) / (1 - b + b * length / average)

times the share of the question, by weight, that the passage speaks of: what has all of it goes before what repeats
one word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from core.actor import Actor
from search import analysis
from search.documents import document_types
from search.providers import index
from search.providers.base import Match, Query
from search.selectors.reach import known_types, scope_of

LONGEST = 900
_OF_EACH_KIND: Final = 12
_PER_DOCUMENT = 3
_BREAK = re.compile(r"\n\s*\n")
_K1: Final = 1.2


@dataclass(frozen=True, slots=True)
class _Field:
    """How much a field counts (v), how much its length matters (b), and how many words it has on average."""

    weight: float
    b: float
    average: float


_TITLE, _SUBTITLE, _TEXT = _Field(2.5, 0.5, 5.0), _Field(1.0, 0.5, 5.0), _Field(1.0, 0.75, 80.0)


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
    find. Any of the words will do, in any of their forms; rare ones count most, with the weights of the whole index.
    Every kind of document has its turn, so that many records do not crowd out the few pages."""
    wanted = known_types(types)
    scope = scope_of(actor, wanted)
    query = Query(
        _with_forms(q), scope, types=frozenset(wanted), each=max(_OF_EACH_KIND, limit), needs_all=False,
        with_counts=False,
    )  # fmt: skip
    found = index().find(query)
    weights = _by_root(found.words)
    pieces = [piece for match in found.matches for piece in _best_of(match, weights)]
    pieces.sort(key=lambda piece: (-piece.score, piece.id, piece.start))
    return pieces[:limit]


def _with_forms(question: str) -> str:
    """Put the other forms of the question's words behind it."""
    telling = [word.folded for word in analysis.words(question) if word.folded not in analysis.STOP_WORDS]
    return " ".join([question, *dict.fromkeys(form for word in telling for form in analysis.forms(word))])


def _by_root(words: Mapping[str, float]) -> dict[str, float]:
    """Join the forms of a word; together they are as frequent as the most frequent of them, at least."""
    weights: dict[str, float] = {}
    for word, weight in words.items():
        root = analysis.root(word)
        weights[root] = min(weight, weights.get(root, weight))
    return weights


def _best_of(match: Match, weights: Mapping[str, float]) -> list[Passage]:
    document, kind = match.document, document_types[match.type]
    around = Counter[str]()
    for text, field in ((document.title, _TITLE), (document.subtitle, _SUBTITLE)):
        around.update(_frequencies(text, field, weights))
    scored = []
    for start, end in split(document.body):
        inside = _frequencies(document.body[start:end], _TEXT, weights)
        if inside or around:
            scored.append((_score(inside + around, weights), start, end))
    scored.sort(key=lambda each: (-each[0], each[1]))
    return [
        Passage(
            match.type, document.id, kind.public_id(document.id), document.title, document.url, document.version,
            document.body[start:end], start, end, round(score, 6),
        )
        for score, start, end in scored[:_PER_DOCUMENT]
    ]  # fmt: skip


def _frequencies(text: str, field: _Field, weights: Mapping[str, float]) -> Counter[str]:
    """Return how often a field has each wanted word, weighed and set against its length."""
    roots = [analysis.root(word.folded) for word in analysis.words(text)]
    share = field.weight / (1 - field.b + field.b * len(roots) / field.average)
    counts = Counter[str]()
    for root, count in Counter(root for root in roots if root in weights).items():
        counts[root] = share * count  # type: ignore[assignment]  # a Counter adds up fractions as well
    return counts


def _score(frequencies: Mapping[str, float], weights: Mapping[str, float]) -> float:
    total = sum(weights.values())
    covered = sum(weights[root] for root in frequencies) / total if total else 0.0
    return covered * sum(weights[root] * each / (_K1 + each) for root, each in frequencies.items())


def split(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of the passages of a text: paragraphs, put together while they are short (a heading stays with
    what follows it, what ends in a colon with what it announces) and cut at the end of a line or a sentence where they
    are long. Blanks at the edges are left out."""
    start: int | None = None
    end = last = 0
    for low, high in _paragraphs(text):
        if start is not None and high - start > LONGEST:
            # What announces something goes on with it.
            is_announced = text[end - 1] == ":" and start < last and high - last <= LONGEST
            yield from _trimmed(text, start, last if is_announced else end)
            start = last if is_announced else None
        if start is None:
            start = low
        last = low
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
    for mark in ("\n", ". ", " "):
        place = text.rfind(mark, start + LONGEST // 2, end)
        if place > 0:
            return place + len(mark)
    return end
