"""Searching the help pages, for everybody: they are public, and nothing else is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ai.selectors import questions
from core.actor import SYSTEM
from search import analysis
from search import selectors as search
from search.documents import Document
from search.selectors import Passage, highlights
from search.selectors.highlights import Highlight

_KIND: Final = "help_page"
_MOST: Final = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A section: its words in pieces, each with whether it is what was looked for."""

    title: str
    url: str
    pieces: list[tuple[str, bool]]


def sections(q: str) -> list[Found]:
    """Return the sections that have most to do with `q`, best first: those that answers would be made from, else what
    has parts of its words or is spelt like them."""
    found: dict[str, Found] = {}
    stems = _stems(q)
    for passage in questions.passages(SYSTEM, q, types=[_KIND]):
        if passage.url not in found:
            found[passage.url] = Found(passage.title, passage.url, list(_marked(passage, q, stems)))
    if not found:
        for hit in search.find(actor=SYSTEM, q=q, types=[_KIND], limit=_MOST, facets=False).hits:
            body = next((each for each in hit.highlights if each.field == "body"), None)
            found[hit.url] = Found(hit.title, hit.url, list(_pieces(body)) if body else [])
    return list(found.values())[:_MOST]


def _stems(q: str) -> set[str]:
    """The question's words in every form; its small words are not marked."""
    telling = [word for word in analysis.words(q) if word.folded not in analysis.STOP_WORDS]
    return {word.stem for word in telling} | {form for word in telling for form in analysis.forms(word.folded)}


def _marked(passage: Passage, q: str, stems: set[str]) -> Iterator[tuple[str, bool]]:
    document = Document(passage.id, passage.title, None, passage.version, body=passage.text)
    for highlight in highlights.of(document, stems, q):
        if highlight.field == "body":
            yield from _pieces(highlight)
            return
    is_cut = len(passage.text) > highlights.FRAGMENT
    yield passage.text[: highlights.FRAGMENT] + ("…" if is_cut else ""), False


def _pieces(highlight: Highlight) -> Iterator[tuple[str, bool]]:
    text, place = highlight.text, 0
    yield "…" if highlight.is_cut_before else "", False
    for start, end in highlight.marks:
        yield text[place:start], False
        yield text[start:end], True
        place = end
    yield text[place:] + ("…" if highlight.is_cut_after else ""), False
