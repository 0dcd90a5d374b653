"""Checking what an answer quotes: a quotation counts only where it stands, word for word, in the passage it names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from ai.errors import AnswerInvalid, AnswerUnsupported
from ai.prompts import MOST_QUOTES
from ai.providers.base import Completion, Quote
from search.selectors import Passage

LONGEST_TEXT: Final = 4000
_MARK = re.compile(r" ?\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")


def checked(completion: Completion, passages: Sequence[Passage]) -> tuple[str, list[dict[str, Any]], bool]:
    """Return the answer's text, its citations (JSON-ready) and whether it is grounded.

    Quotations that do not stand in their passage are dropped, and so are numbers in the text that no quotation is left
    for. Raises AnswerUnsupported when nothing is left of an answer that claims to be grounded, AnswerInvalid when it
    is longer than it may be.
    """
    if len(completion.text) > LONGEST_TEXT:
        raise AnswerInvalid("The answer is longer than it may be.")
    if not completion.is_grounded:
        return _with_marks(completion.text, frozenset()), [], False
    citations: list[dict[str, Any]] = []
    for quote in completion.quotes:
        one = _citation(quote, passages)
        if one is not None and one not in citations and len(citations) < MOST_QUOTES:
            citations.append(one)
    if not citations:
        raise AnswerUnsupported("None of the quotations of the answer stands in what it was made from.")
    return _with_marks(completion.text, frozenset(one["number"] for one in citations)), citations, True


def _citation(quote: Quote, passages: Sequence[Passage]) -> dict[str, Any] | None:
    if not 1 <= quote.number <= len(passages):
        return None
    passage = passages[quote.number - 1]
    span = _span(quote.words, passage.text)
    if span is None:
        return None
    return {
        "number": quote.number,
        "type": passage.type,
        "id": passage.public_id,
        "title": passage.title,
        "url": passage.url,
        "version": passage.version,
        "start": passage.start + span[0],
        "end": passage.start + span[1],
        "quote": passage.text[span[0] : span[1]],
    }


def _span(words: str, text: str) -> tuple[int, int] | None:
    """Return where `words` stand in `text`; only the white space between them may differ."""
    parts = words.split()
    if not parts:
        return None
    found = re.search(r"\s+".join(re.escape(part) for part in parts), text)
    return found.span() if found else None


def _with_marks(text: str, numbers: frozenset[int]) -> str:
    """Keep of the marks `[1]`, `[1, 2]` those that name a citation."""

    def kept(match: re.Match[str]) -> str:
        left = [number for number in re.findall(r"\d+", match[1]) if int(number) in numbers]
        blank = " " if match[0].startswith(" ") else ""
        return f"{blank}[{', '.join(left)}]" if left else ""

    return _MARK.sub(kept, text).strip()
