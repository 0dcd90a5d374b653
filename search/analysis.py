"""From text to words, the same for documents and questions.

A word is a run of letters and digits, folded (small letters, no accents) and stripped of an English plural by the
"S stemmer" (D. Harman, How effective is suffixing?, JASIS 42(1), 1991), the weakest of stemmers: it never joins words
that are strangers, and names survive it. Places are kept, so that what is found can be marked in the text as it stands.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_WORD = 64
_WORD = re.compile(r"[^\W_]+")
_SHORTEST_PLURAL = 4
_NO_FORMS = frozenset({"billing", "setting"})  # things of their own, not what somebody does who bills or sets

# Words that say nothing about what is meant (of Lucene's list, and what questions begin with). A document need not have
# them; they still count where a question holds nothing else, since people are called Will and May.
STOP_WORDS = frozenset({
    "a", "about", "all", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did",
    "do", "does", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "me",
    "my", "no", "not", "of", "on", "or", "our", "shall", "should", "so", "such", "than", "that", "the", "their",
    "them", "then", "there", "these", "they", "this", "to", "was", "we", "were", "what", "when", "where",
    "which", "while", "who", "whom", "whose", "why", "will", "with", "would", "you", "your",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text: folded, its stem, and where it stands (`text[start:end]`)."""

    folded: str
    stem: str
    start: int
    end: int


@functools.lru_cache(maxsize=65536)
def fold(text: str) -> str:
    """Return `text` in small letters and without accents: "Müller" and "muller" are one word."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(each for each in plain if not unicodedata.combining(each)))


@functools.lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return a folded word without its English plural: the rules of Harman's S stemmer, save that "employees" and
    "heroes" lose their s too."""
    if len(word) < _SHORTEST_PLURAL or not word.endswith("s") or word.endswith(("us", "ss")):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    return word[:-1]


@functools.lru_cache(maxsize=65536)
def root(word: str) -> str:
    """Return what the forms of a folded word have in common: "rotate", "rotated" and "rotating" are one. Stronger than
    `stem` (steps 1b and 5 of M. F. Porter, An algorithm for suffix stripping, Program 14(3), 1980), so it joins
    strangers now and then: for ranking and for questions, never for what is kept."""
    short = stem(word)
    if short in _NO_FORMS:
        return short
    if short.endswith("ied"):
        return short[:-3] + "y"
    for ending in ("ing", "ed"):
        rest = short.removesuffix(ending)
        if rest != short and len(rest) > 2 and not rest.endswith("e") and any(each in "aeiouy" for each in rest):
            short = rest
            break
    else:
        short = short[:-1] if short.endswith("e") and len(short) > _SHORTEST_PLURAL else short
    return short[:-1] if len(short) > 2 and short[-1] == short[-2] else short


def forms(word: str) -> list[str]:
    """Return the other forms that a folded word may have in a text: of "rotated", "rotate" and "rotating"."""
    if any(each.isdigit() for each in word) or len(word) < _SHORTEST_PLURAL or stem(word) in _NO_FORMS:
        return []
    base = root(word)
    bases = (base, base + base[-1]) if base[-1] not in "aeiouy" else (base,)
    made = [each + ending for each in bases for ending in ("", "e", "ed", "ing")]
    if base.endswith("y"):
        made.append(base[:-1] + "ied")
    return [each for each in made if each != stem(word)]


def words(text: str) -> Iterator[Word]:
    """Yield the words of `text` in their order."""
    for match in _WORD.finditer(text):
        folded = fold(match[0][:LONGEST_WORD])[:LONGEST_WORD]
        yield Word(folded, stem(folded), match.start(), match.end())


def key(text: str) -> str:
    """Return the form in which an id, an address or a number is kept and compared."""
    return "".join(fold(text).split())
