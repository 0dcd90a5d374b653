"""Why a document was found: the words in it, by their places in plain text. No markup is made, so none is injected."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from search import analysis
from search.documents import Document

FRAGMENT = 200
_BEFORE = 60
_MOST_MARKS = 50


@dataclass(frozen=True, slots=True)
class Highlight:
    """A text of the document (`field`: title, subtitle, body or keys) and what in it was found: places [start, end) in
    code points. Of a long body it is the part with the most of it; `is_cut` says on which side there is more."""

    field: str
    text: str
    marks: tuple[tuple[int, int], ...]
    is_cut_before: bool = False
    is_cut_after: bool = False


def of(document: Document, words: Collection[str], question: str) -> list[Highlight]:
    """Return where `words` (stems) stand in the document, and the key that begins like the `question`."""
    found = []
    for field in ("title", "subtitle"):
        text = getattr(document, field)
        marks = places(text, words)
        if marks:
            found.append(Highlight(field, text, tuple(marks[:_MOST_MARKS])))
    body = _fragment(document.body, words)
    if body is not None:
        found.append(body)
    key = _key(document, question)
    return [*found, key] if key is not None else found


def places(text: str, words: Collection[str]) -> list[tuple[int, int]]:
    """Return the places of `words` (stems) in `text`."""
    return [(word.start, word.end) for word in analysis.words(text) if word.stem in words]


def _fragment(text: str, words: Collection[str]) -> Highlight | None:
    """The part of a body with the most marks."""
    marks = places(text, words)
    if not marks:
        return None
    best, most = 0, 0
    end = 0
    for begin, (start, _) in enumerate(marks):
        end = max(end, begin)
        while end < len(marks) and marks[end][1] - start <= FRAGMENT - _BEFORE:
            end += 1
        if end - begin > most:
            best, most = begin, end - begin
    start = _word_boundary(text, max(0, marks[best][0] - _BEFORE))
    stop = min(len(text), max(start + FRAGMENT, marks[best][1]))
    inside = [(low - start, high - start) for low, high in marks if low >= start and high <= stop]
    return Highlight("body", text[start:stop], tuple(inside[:_MOST_MARKS]), start > 0, stop < len(text))


def _word_boundary(text: str, place: int) -> int:
    """Move a place to the beginning of the next word, so that a fragment begins with a whole one."""
    if place == 0:
        return 0
    blank = text.find(" ", place, place + _BEFORE)
    return blank + 1 if blank >= 0 else place


def _key(document: Document, question: str) -> Highlight | None:
    begin = analysis.key(question)
    if not begin:
        return None
    for key in document.keys:
        if analysis.key(key).startswith(begin):
            return Highlight("keys", key, ((0, _length_of(key, begin)),))
    return None


def _length_of(key: str, begin: str) -> int:
    """How many code points of `key` make up the folded `begin`: folding may change their number."""
    return next((size for size in range(1, len(key) + 1) if len(analysis.key(key[:size])) >= len(begin)), len(key))
