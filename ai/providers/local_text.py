"""Reading a passage as what it was written as: steps, items, rows of a table, sentences of a paragraph, code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# A stop before a small letter ends nothing: "Acme Inc. over $49.00" goes on, and so does "1: broken. 2: lost."
_SENTENCE = re.compile(r".+?(?:[.!?](?=\s+(?!\d+: )[^a-z\s]|\s*$)|$)")
_LINE = re.compile(r"[^\n]+")
_STEP = re.compile(r"\d{1,2}\. ")
_ITEM = re.compile(r"[•*-] ")
_CELLS: Final = " · "
_CODE = re.compile(r"^ {4}|^\$ |\\$")
# The first line of a passage has lost its blanks; the second tells.
_BEGINS_IN_CODE = re.compile(r"(?!\d+\. |[•*-] )[^\n]+\n {4}")


class Kind(StrEnum):
    STEPS = "steps"
    ITEMS = "items"
    ROWS = "rows"
    SENTENCES = "sentences"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a text that belongs together: `units` are the places [start, end) of its steps, rows or sentences."""

    kind: Kind
    units: tuple[tuple[int, int], ...]

    @property
    def start(self) -> int:
        return self.units[0][0]

    @property
    def end(self) -> int:
        return self.units[-1][1]


def blocks(text: str) -> list[Block]:
    """Return the blocks of `text` in their order. Lines of one kind are one block, each line of prose its own."""
    found: list[Block] = []
    for kind, start, end in _lines(text):
        last = found[-1] if found else None
        if kind is Kind.SENTENCES:
            found.append(Block(kind, tuple(_sentences(text, start, end))))
        elif last is not None and last.kind is kind and (kind is not Kind.STEPS or _follows(text, last, start)):
            found[-1] = Block(kind, (*last.units, (start, end)))
        else:
            found.append(Block(kind, ((start, end),)))
    return found


def _lines(text: str) -> Iterator[tuple[Kind, int, int]]:
    begins_in_code = _BEGINS_IN_CODE.match(text) is not None
    for match in _LINE.finditer(text):
        line = match[0]
        stripped = line.strip()
        if not stripped:
            continue
        start = match.start() + len(line) - len(line.lstrip())
        kind = (
            Kind.CODE if _CODE.search(line) or (begins_in_code and not match.start())
            else Kind.STEPS if _STEP.match(stripped)
            else Kind.ITEMS if _ITEM.match(stripped)
            else Kind.ROWS if _CELLS in stripped
            else Kind.SENTENCES
        )  # fmt: skip
        # Code keeps its blanks.
        yield kind, (match.start() if kind is Kind.CODE else start), start + len(stripped)


def _follows(text: str, block: Block, start: int) -> bool:
    """Whether the step at `start` is the next of this list, not the first of another one."""
    before, here = (int(text[place : place + 2].rstrip(". ")) for place in (block.units[-1][0], start))
    return here > before


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _SENTENCE.finditer(text, start, end):
        blank = len(match[0]) - len(match[0].lstrip())
        if match[0].strip():
            yield match.start() + blank, match.end() - (len(match[0]) - len(match[0].rstrip()))


def around(text: str, units: Sequence[tuple[int, int]], at: int, *, most: int, longest: int) -> tuple[int, int]:
    """Return the numbers [first, last] of up to `most` units around the one `at`, in at most `longest` characters."""
    first = last = at
    while last - first + 1 < most:
        if last + 1 < len(units) and units[last + 1][1] - units[first][0] <= longest:
            last += 1
        elif first > 0 and units[last][1] - units[first - 1][0] <= longest:
            first -= 1
        else:
            break
    return first, last
