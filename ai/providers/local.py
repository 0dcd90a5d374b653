"""The embedded default: it writes nothing of its own. It quotes the steps and sentences that answer a question best.

Steps, rows and sentences are ranked by BM25 (Robertson and Zaragoza, The probabilistic relevance framework, 2009)
among those of all passages; words of a passage's title count half. A hit is quoted whole: a numbered list with all its
steps, a sentence with those beside it that belong to it, a command with the sentence that announces it. What is much
weaker than the best is left out. When nothing shares more than half of the question's words it says that it found
nothing. Code is never searched.
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
from ai.providers.local_text import Block, Kind, around, blocks
from ai.wording import asks_how_to
from search.analysis import STOP_WORDS, root, words

NOTHING: Final = "I found nothing that answers this in what you may see."
_K1, _B = 1.2, 0.5
_TITLE_COUNTS: Final = 0.5
_COVERED: Final = 0.5
_WEAKEST: Final = 0.65  # of the best
_NAMED: Final = 3.0
_QUOTES: Final = 3
_QUOTES_OF_STEPS: Final = 2  # they are long
_SENTENCES: Final = 3
_LONGEST: Final = 400  # characters of one sentence that is quoted
_LONGEST_PARAGRAPH: Final = 500
_LONGEST_LIST: Final = 1000
_LONGEST_CODE: Final = 600
_SAYS_NOTHING: Final = frozenset(
    {"get", "happen", "happens", "long", "make", "mean", "means", "please", "use", "want"}
)  # in a question
_CODE_AT_END = re.compile(r"\n\s*?\n? {4}[^\n]*(?:\n(?: {4}[^\n]*)?)*$")
_HAS_LETTER = re.compile(r"[^\W_]")
# What begins so speaks of what was said before.
_REFERS = re.compile(
    r"(it|its|they|them|this|that|these|those|then|there|both|such|so|otherwise|the same)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Hit:
    """One step, row or sentence: the unit `at` of a block (the `place`-th) of the passage `number`, with how often it
    has each word; `near` are the words that it is read with: its title's, its list's, its paragraph's."""

    number: int
    place: int
    at: int
    kind: Kind
    relevance: float
    counts: Counter[str]
    title: frozenset[str]
    near: frozenset[str]
    is_opening: bool


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
        """Quote up to three places, best first; the text is those quotations and nothing else."""
        read = [blocks(source.text) for source in sources]
        quotes = _quotes(question, sources, read)
        text = "\n\n".join(_marked(quote) for quote in quotes) or NOTHING
        if hear is not None:
            for piece in text.splitlines(keepends=True):
                hear(piece)
        return Completion(text=text, quotes=quotes, is_grounded=bool(quotes), usage=Usage(), model=self.model)

    def health(self) -> Health:
        return Health(True, "quotes what was found")


def _marked(quote: Quote) -> str:
    """Return a quotation with its number behind its last sentence; a command stands below."""
    code = _CODE_AT_END.search(quote.words)
    at = code.start() if code else len(quote.words)
    return f"{quote.words[:at]} [{quote.number}]{quote.words[at:]}"


def _quotes(question: str, sources: Sequence[Source], read: Sequence[Sequence[Block]]) -> list[Quote]:
    asks_how = asks_how_to(question)
    chosen: list[Quote] = []
    wanted = _wanted(question)
    for hit in _best(wanted, list(_hits(sources, read)), asks_how=asks_how):
        text = sources[hit.number - 1].text
        is_named = _is_named(hit, wanted) and not asks_how
        start, end = _place(text, read[hit.number - 1], hit, asks_how=asks_how, is_named=is_named)
        quote = text[start:end]
        if not any(quote in other.words or other.words in quote for other in chosen):
            chosen.append(Quote(hit.number, quote))
        if len(chosen) == (_QUOTES_OF_STEPS if asks_how else _QUOTES):
            break
    return chosen


def _hits(sources: Sequence[Source], read: Sequence[Sequence[Block]]) -> Iterator[Hit]:
    for number, (source, found) in enumerate(zip(sources, read, strict=True), 1):
        title = frozenset(_roots(source.title))
        for place, block in enumerate(found):
            if block.kind is Kind.CODE:
                continue
            near = title
            if block.kind is not Kind.ROWS:
                near |= frozenset(_roots(source.text[block.start : block.end]))
            for at, (start, end) in enumerate(block.units):
                text = source.text[start:end]
                if _HAS_LETTER.search(text) and end - start <= _LONGEST:
                    counts = Counter(_roots(text))
                    is_opening = source.is_opening and place == at == 0
                    near_it = near | counts.keys()
                    yield Hit(number, place, at, block.kind, source.relevance, counts, title, near_it, is_opening)


def _roots(text: str) -> Iterator[str]:
    return (root(word.folded) for word in words(text))


def _wanted(question: str) -> frozenset[str]:
    """What the question is about; its small words count only where it has no others."""
    found = list(words(question))
    telling = frozenset(root(word.folded) for word in found if word.folded not in STOP_WORDS | _SAYS_NOTHING)
    return telling or frozenset(root(word.folded) for word in found)


def _best(wanted: frozenset[str], hits: list[Hit], *, asks_how: bool) -> list[Hit]:
    """Return the hits that answer, best first, without those that are much weaker than the best."""
    near = [
        hit for hit in hits
        if len(hit.near & wanted) > _COVERED * len(wanted)
        and (hit.counts.keys() & wanted or (_is_named(hit, wanted) and not asks_how))
    ] or [hit for hit in hits if _is_named(hit, wanted)]  # fmt: skip
    if not wanted or not near:
        return []
    scores = _scores(wanted, hits)
    scored = {id(hit): scores[id(hit)] * _share(hit, wanted, asks_how=asks_how) for hit in near}
    near.sort(key=lambda hit: (-scored[id(hit)], hit.number, hit.place, hit.at))
    return [hit for hit in near if scored[id(hit)] >= _WEAKEST * scored[id(near[0])]]


def _is_named(hit: Hit, wanted: frozenset[str]) -> bool:
    """Whether it opens the section whose heading has all words of the question."""
    return hit.is_opening and wanted <= hit.title


def _share(hit: Hit, wanted: frozenset[str], *, asks_how: bool) -> float:
    """How much a hit counts: by its passage, by how much of the question stands near it, by its kind, and by whether
    it opens the section that the question asks for by name."""
    kind = {Kind.STEPS: 1.3, Kind.ROWS: 0.5}.get(hit.kind, 1.0) if asks_how else 1.0
    if _is_named(hit, wanted) and not asks_how:
        kind *= _NAMED
    return hit.relevance * kind * len(hit.near & wanted) / len(wanted)


def _scores(wanted: frozenset[str], hits: list[Hit]) -> dict[int, float]:
    """BM25 of each among all of them."""
    total = len(hits)
    average = sum(hit.counts.total() for hit in hits) / total
    rarity = {}
    for each in wanted:
        having = sum(each in hit.counts for hit in hits)
        rarity[each] = math.log(1 + (total - having + 0.5) / (having + 0.5))
    scores = {}
    for hit in hits:
        norm = _K1 * (1 - _B + _B * hit.counts.total() / average)
        score = 0.0
        for each in wanted:
            count = hit.counts[each] + (_TITLE_COUNTS if each in hit.title else 0)
            score += rarity[each] * count * (_K1 + 1) / (count + norm)
        scores[id(hit)] = score
    return scores


def _place(text: str, found: Sequence[Block], hit: Hit, *, asks_how: bool, is_named: bool) -> tuple[int, int]:
    """Return where the quotation of a hit stands in `text`."""
    block = found[hit.place]
    first = last = hit.at
    if block.kind is Kind.STEPS or (block.kind is not Kind.SENTENCES and is_named):
        first, last = around(text, block.units, hit.at, most=len(block.units), longest=_LONGEST_LIST)
    elif block.kind is Kind.SENTENCES:
        first, last = _sentences(text, block, hit.at, is_whole=asks_how or is_named)
    start, end = block.units[first][0], block.units[last][1]
    if last == len(block.units) - 1 and hit.place + 1 < len(found):
        end = max(end, _end_of_what_follows(text[:end], found[hit.place + 1], start, asks_how, is_named))
    return start, end


def _end_of_what_follows(text: str, block: Block, start: int, asks_how: bool, is_named: bool) -> int:
    """Return where the block behind a quotation ends when it belongs to it, else 0: what it announces, the command of
    an instruction, the table of the section that was asked for by its name."""
    is_announced = text.endswith(":") or (asks_how and block.kind is Kind.CODE)
    is_its_table = is_named and block.kind is Kind.ROWS
    if (is_announced and block.end - len(text) <= _LONGEST_CODE) or (
        is_its_table and block.end - start <= _LONGEST_LIST
    ):
        return block.end
    return 0


def _sentences(text: str, block: Block, at: int, *, is_whole: bool) -> tuple[int, int]:
    """Return the first and the last sentence that belong to the one `at`: what it speaks of and what speaks of it, or
    as much of the paragraph as can be quoted."""
    units = block.units
    if is_whole:
        return around(text, units, at, most=_SENTENCES, longest=_LONGEST_PARAGRAPH)
    first = last = at
    if at and _REFERS.match(text, units[at][0]):
        first = at - 1
    while last + 1 < len(units) and last - first < _SENTENCES - 1:
        next_start, next_end = units[last + 1]
        if not _REFERS.match(text, next_start) or next_end - units[first][0] > _LONGEST_PARAGRAPH:
            break
        last += 1
    return first, last
