"""A model's text cut into words, marks and lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from accounts.permissions.language.faults import Fault, FaultType, Faulty, Place

# A name may hold what OpenFGA's extended identifiers do. A comment begins at a line's first mark or after a blank, so
# that the # of `group#member` is none.
_PATTERN = re.compile(
    r"""(?P<blank>[ \t\r\f]+)
      | (?P<comment>(?:(?<=\s)|(?<![^\n]))\#[^\n]*)
      | (?P<newline>\n)
      | (?P<number>\d+\.\d+(?![\w./-]))
      | (?P<word>[^\W][\w./-]*)
      | (?P<mark>[\[\](){},:#*<>])""",
    re.VERBOSE,
)

_STATEMENT = re.compile(r"[ \t]*(?:define|type|extend|condition)\b")


_QUOTED: Final = 60  # characters of a word that a fault quotes


@dataclass(frozen=True, slots=True)
class Token:
    """One word or mark. `kind` is word, number, mark, line (a line's end), body (a condition's text) or end."""

    kind: str
    text: str
    place: Place

    def __str__(self) -> str:
        quoted = self.text if len(self.text) <= _QUOTED else f"{self.text[:_QUOTED]}…"
        return {"line": "the end of the line", "end": "the end of the text"}.get(self.kind, f"'{quoted}'")


def tokens(text: str, file: str = "") -> Iterator[Token]:
    """Cut `text`. Line ends within brackets are blanks; what stands between the braces of a condition is one token.
    Raises Faulty at a mark that the language does not have, and at a brace that is never closed."""
    line, line_start, position, depth = 1, 0, 0, 0
    while position < len(text):
        match = _PATTERN.match(text, position)
        column = position - line_start + 1
        if match is None:
            place = Place(line, column, column + 1, file)
            raise Faulty([Fault(FaultType.SYNTAX, f"'{text[position]}' has no meaning here.", place, text[position])])
        kind, found = str(match.lastgroup), match.group()
        place = Place(line, column, column + len(found), file)
        position = match.end()
        if kind == "newline":
            if _STATEMENT.match(text, position):
                depth = 0  # a bracket that was forgotten does not swallow what follows
            if depth == 0:
                yield Token("line", "\n", place)
            line, line_start = line + 1, position
        elif found == "{":
            end = _closing_brace(text, position, place)
            body = text[position:end]
            yield Token("body", body, place)
            line += body.count("\n")
            line_start = position + body.rfind("\n") + 1 if "\n" in body else line_start
            position = end + 1
        elif kind not in ("blank", "comment"):
            depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(found, 0)
            depth = max(depth, 0)
            yield Token(kind, found, place)
    yield Token("end", "", Place(line, position - line_start + 1, position - line_start + 1, file))


def _closing_brace(text: str, position: int, opened: Place) -> int:
    """The place of the brace that ends a condition's body: braces within it are paired, those in strings are text."""
    depth, quote = 1, ""
    while position < len(text):
        mark = text[position]
        if quote:
            if mark == "\\":
                position += 1
            elif mark == quote:
                quote = ""
        elif mark in "\"'":
            quote = mark
        elif mark in "{}":
            depth += 1 if mark == "{" else -1
            if depth == 0:
                return position
        position += 1
    raise Faulty([Fault(FaultType.SYNTAX, "The brace that opens here is never closed.", opened, "{")])
