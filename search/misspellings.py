"""How wrong a word may be spelt, and still be meant.

A short word is looked up in all spellings that are one letter away. Of a long one there are too many with two: words
like it are found by their trigrams, and judged by how many letters differ.
"""

from __future__ import annotations

import string

_LETTERS = string.ascii_lowercase


def allowed(word: str) -> int:
    """Return how many letters may be wrong: none up to 2, one up to 5, two beyond: `fuzziness: AUTO`
    of Elasticsearch. Numbers are not misspelt."""
    if any(each.isdigit() for each in word) or len(word) <= 2:
        return 0
    return 1 if len(word) <= 5 else 2


def edits(one: str, other: str, most: int) -> int:
    """Return the optimal string alignment distance (letters put in, left out, changed, or swapped with the next one),
    or `most + 1` when it is larger than `most`."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, row, above = row, [i], before
        for j, its in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != its))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == its:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]


def variants(word: str) -> list[str]:
    """Return all spellings one letter away: one left out, swapped with the next, changed (to a letter), or put in."""
    cuts = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    found = {head + tail[1:] for head, tail in cuts if tail}
    found |= {head + tail[1] + tail[0] + tail[2:] for head, tail in cuts if len(tail) > 1}
    found |= {head + letter + tail[1:] for head, tail in cuts if tail for letter in _LETTERS}
    found |= {head + letter + tail for head, tail in cuts for letter in _LETTERS}
    return sorted(found - {word})
