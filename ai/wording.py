"""What a question asks for, by how it begins."""

from __future__ import annotations

import re

_HOW_TO = re.compile(
    r"\W*(how\s+(do|can|to|should|would|must)\b|can\s+(i|we)\b|what\s+(do|must)\s+(i|we)\b)", re.IGNORECASE
)


def asks_how_to(question: str) -> bool:
    """Whether it asks how something is done: steps answer it rather than tables."""
    return _HOW_TO.match(question) is not None
