"""Checking what an answer quotes: a quotation counts only where it stands, word for word, in the passage it names.

A provider names passages; a reader sees documents, numbered in the order in which the answer names them."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import Any, Final
from uuid import UUID

from ai.errors import AnswerInvalid, AnswerUnsupported
from ai.prompts import MOST_QUOTES
from ai.providers.base import Completion, Hear, Quote
from search.selectors import Passage

LONGEST_TEXT: Final = 4000
_BEGUN = re.compile(r" ?(?:\[[\d,\s]{0,24})?$")
_MARK = re.compile(r" ?\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")


def checked(completion: Completion, passages: Sequence[Passage]) -> tuple[str, list[dict[str, Any]], bool]:
    """Return the answer's text, its citations (JSON-ready) and whether it is grounded.

    Quotations that do not stand in their passage are dropped, and so are numbers in the text that no quotation is left
    for. What is left is numbered anew: 1, 2, … in the order in which the text names the documents. Raises
    AnswerUnsupported when nothing is left of an answer that claims to be grounded, AnswerInvalid when it is longer than
    it may be.
    """
    if len(completion.text) > LONGEST_TEXT:
        raise AnswerInvalid("The answer is longer than it may be.")
    if not completion.is_grounded:
        return Numbers([]).rewritten(completion.text).strip(), [], False
    found: list[tuple[int, dict[str, Any]]] = []
    for quote in completion.quotes:
        one = _citation(quote, passages)
        if one is not None and (quote.number, one) not in found and len(found) < MOST_QUOTES:
            found.append((quote.number, one))
    if not found:
        raise AnswerUnsupported("None of the quotations of the answer stands in what it was made from.")
    numbers = Numbers(passages, frozenset(number for number, _ in found))
    text = numbers.rewritten(completion.text).strip()
    cited = [{"number": numbers.of(number), **one} for number, one in found]
    return text, sorted(cited, key=lambda one: one["number"]), True


class Numbers:
    """The numbers of the documents as a reader sees them: 1 for the one that is named first, and so on. `known` are the
    passages that may be named; all, unless given."""

    def __init__(self, passages: Sequence[Passage], known: Container[int] | None = None) -> None:
        self._documents = {number: (one.type, one.id) for number, one in enumerate(passages, 1)}
        self._known = self._documents.keys() if known is None else known
        self._numbers: dict[tuple[str, UUID], int] = {}

    def of(self, passage: int) -> int:
        """Return the number of a passage's document, the next one when it is new."""
        return self._numbers.setdefault(self._documents[passage], len(self._numbers) + 1)

    def rewritten(self, text: str) -> str:
        """Return `text` with the marks `[3]`, `[3, 1]` of passages as marks of documents, without unknown ones."""

        def kept(match: re.Match[str]) -> str:
            named = [int(number) for number in re.findall(r"\d+", match[1])]
            left = dict.fromkeys(str(self.of(number)) for number in named if number in self._known)
            blank = " " if match[0].startswith(" ") else ""
            return f"{blank}[{', '.join(left)}]" if left else ""

        return _MARK.sub(kept, text)


class Heard:
    """Hands the words of an answer on as they come, numbered as the checked answer will be. What may yet become a mark
    waits for the next piece."""

    def __init__(self, hear: Hear, passages: Sequence[Passage]) -> None:
        self._hear = hear
        self._numbers = Numbers(passages)
        self._left = ""

    def __call__(self, piece: str) -> None:
        text = self._left + piece
        begun = _BEGUN.search(text)
        at = begun.start() if begun else len(text)
        self._left = text[at:]
        self._tell(text[:at])

    def end(self) -> None:
        """Hand on what waited."""
        text, self._left = self._left, ""
        self._tell(text)

    def _tell(self, text: str) -> None:
        if told := self._numbers.rewritten(text):
            self._hear(told)


def _citation(quote: Quote, passages: Sequence[Passage]) -> dict[str, Any] | None:
    if not 1 <= quote.number <= len(passages):
        return None
    passage = passages[quote.number - 1]
    span = _span(quote.words, passage.text)
    if span is None:
        return None
    return {
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
