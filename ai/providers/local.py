"""The embedded default: it writes nothing of its own. It quotes the sentences that share most with the question.

Sentences are ranked by BM25 (Robertson and Zaragoza, The probabilistic relevance framework, 2009) among the sentences
of the passages; words of a passage's title count half. When no sentence shares more than half of the question's words
it says that it found nothing. Code (lines set in by four blanks, commands after a $) is never quoted.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ai.costs import FREE, Price, Usage
from ai.providers.base import Completion, Health, Hear, Quote, Source
from search.analysis import STOP_WORDS, words

NOTHING: Final = "I found nothing that answers this in what you may see."
_K1, _B = 1.2, 0.75
_TITLE_COUNTS: Final = 0.5
_COVERED: Final = 0.5
_SENTENCES: Final = 3
_LONGEST: Final = 400
# A stop before a small letter belongs to an abbreviation: "Acme Inc. over $49.00" goes on.
_SENTENCE = re.compile(r"[^\n]+?(?:[.!?](?=\s+[^a-z\s]|\s*$)|(?=\n|$))")
_CODE = re.compile(r"^ {4}|^\$ |\\$")  # a passage may begin within the first line, so that its blanks are gone
_HAS_LETTER = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the passage `number`, with how often it has each word, and those of the passage's title."""

    number: int
    place: int
    text: str
    counts: Counter[str]
    title: frozenset[str]

    def shares(self, wanted: frozenset[str]) -> frozenset[str]:
        return wanted & (self.counts.keys() | self.title)


class LocalProvider:
    """Extractive answers: quotations with their sources, free of charge, and never more than that."""

    name = "local"
    model = "extractive-bm25"
    price: Price = FREE
    seconds = 5.0

    def bound(self, question: str, sources: Sequence[Source]) -> Usage:
        """Nothing is paid for here."""
        return Usage()

    def answer(self, question: str, sources: Sequence[Source], *, hear: Hear | None = None) -> Completion:
        """Quote up to three sentences, best first; the text is those quotations and nothing else."""
        chosen = _chosen(question, list(_sentences(sources)))
        text = "\n".join(f"{one.text} [{one.number}]" for one in chosen) or NOTHING
        if hear is not None:
            for piece in text.splitlines(keepends=True):
                hear(piece)
        return Completion(
            text=text,
            quotes=[Quote(one.number, one.text) for one in chosen],
            is_grounded=bool(chosen),
            usage=Usage(),
            model=self.model,
        )

    def health(self) -> Health:
        return Health(True, "quotes what was found")


def _sentences(sources: Sequence[Source]) -> Iterator[Sentence]:
    for number, source in enumerate(sources, 1):
        title = frozenset(word.stem for word in words(source.title))
        for place, match in enumerate(_SENTENCE.finditer(source.text)):
            text = match[0].strip()
            if _HAS_LETTER.search(text) and len(text) <= _LONGEST and not _CODE.search(match[0]):
                yield Sentence(number, place, text, Counter(word.stem for word in words(text)), title)


def _wanted(question: str) -> frozenset[str]:
    """What the question is about; its small words count only where it has no others."""
    found = list(words(question))
    return frozenset(word.stem for word in found if word.folded not in STOP_WORDS) or frozenset(w.stem for w in found)


def _chosen(question: str, sentences: list[Sentence]) -> list[Sentence]:
    wanted = _wanted(question)
    near = [one for one in sentences if len(one.shares(wanted)) > _COVERED * len(wanted) and one.counts.keys() & wanted]
    if not wanted or not near:
        return []
    scores = _scores(wanted, sentences)
    near.sort(key=lambda one: (-scores[id(one)], one.number, one.place))
    chosen: list[Sentence] = []
    for one in near:
        is_said = any(one.text == other.text for other in chosen)
        if not is_said and scores[id(one)] * 2 >= scores[id(near[0])] and len(chosen) < _SENTENCES:
            chosen.append(one)
    return chosen


def _scores(wanted: frozenset[str], sentences: list[Sentence]) -> dict[int, float]:
    """BM25 of each sentence among all of them."""
    total = len(sentences)
    average = sum(one.counts.total() for one in sentences) / total
    rarity = {}
    for stem in wanted:
        having = sum(stem in one.counts for one in sentences)
        rarity[stem] = math.log(1 + (total - having + 0.5) / (having + 0.5))
    scores = {}
    for one in sentences:
        norm = _K1 * (1 - _B + _B * one.counts.total() / average)
        score = 0.0
        for stem in wanted:
            count = one.counts[stem] + (_TITLE_COUNTS if stem in one.title else 0)
            score += rarity[stem] * count * (_K1 + 1) / (count + norm)
        scores[id(one)] = score
    return scores
