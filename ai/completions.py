"""Reading what a model wrote: the whole answer, checked, and the words of an answer that is still being written."""

from __future__ import annotations

import json
import re
from typing import Any

from ai.errors import AnswerInvalid
from ai.providers.base import Quote

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BEGIN = re.compile(r'^\s*\{\s*"answer"\s*:\s*"')
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parsed(text: str) -> tuple[str, list[Quote], bool]:
    """Return answer, quotations and whether it is grounded. Raises AnswerInvalid for every other shape."""
    try:
        data = json.loads(text)
    except ValueError:
        raise AnswerInvalid("The answer is not the JSON that was asked for.") from None
    match data:
        case {"answer": str(answer), "grounded": bool(grounded), "citations": list(citations)} if answer.strip():
            return _storable(answer).strip(), [_quote(one) for one in citations], grounded
    raise AnswerInvalid("The answer lacks members that were asked for, or they are of another kind.")


def _quote(citation: Any) -> Quote:
    match citation:
        case {"passage": int(number), "quote": str(words)} if not isinstance(number, bool):
            return Quote(number, _storable(words))
    raise AnswerInvalid("A citation of the answer has another shape than was asked for.")


def _storable(text: str) -> str:
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


class AnswerWords:
    """Takes the pieces of a JSON document whose first member is "answer", and gives back the words of that string as
    far as they are known. Anything else it keeps silent about: the whole is read at the end."""

    def __init__(self) -> None:
        self._text = ""
        self._at = -1
        self._is_over = False

    def feed(self, piece: str) -> str:
        """Return the words that `piece` adds."""
        self._text += piece
        if self._at < 0:
            begin = _BEGIN.match(self._text)
            if begin is None:
                return ""
            self._at = begin.end()
        words: list[str] = []
        while not self._is_over and (found := self._next()) is not None:
            words.append(found)
        return _storable("".join(words))

    def _next(self) -> str | None:
        """Return the next run of characters; None when the rest of it has not come yet."""
        rest = self._text[self._at :]
        if not rest:
            return None
        if rest[0] == '"':
            self._is_over = True
            return None
        if rest[0] != "\\":
            run = re.match(r'[^"\\]+', rest)
            assert run is not None
            self._at += run.end()
            return run[0]
        if len(rest) < 2:
            return None
        if rest[1] != "u":
            self._at += 2
            return _ESCAPES.get(rest[1], "")
        return self._unicode(rest)

    def _unicode(self, rest: str) -> str | None:
        """Decode `\\uXXXX`, and two of them where they are one character."""
        unit = re.match(r"\\u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?", rest)
        is_high = unit is not None and 0xD800 <= int(unit[1], 16) < 0xDC00
        if len(rest) < (12 if is_high else 6):
            return None
        if unit is None:
            self._is_over = True
            return None
        length = 12 if is_high and unit[2] else 6
        self._at += length
        return str(json.loads(f'"{rest[:length]}"'))
