"""The port to whoever answers a question from numbered passages.

A provider gets passages as data and gives back text, quotations and what it used; it can do nothing else. What it
quotes is checked against the passages by the caller: a provider is not believed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ai.costs import Price, Usage

Hear = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One passage as a provider is given it; its number is its place among them, from 1. `relevance` says how near it
    is to the question beside the nearest, which has 1; `is_opening` whether its document begins with it."""

    title: str
    text: str
    relevance: float = 1.0
    is_opening: bool = True


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of the passage `number` that support the answer."""

    number: int
    words: str


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer. Its text names passages as `[2]`; `is_grounded` says whether the passages answer the
    question, `usage` is None when the provider did not count."""

    text: str
    quotes: Sequence[Quote]
    is_grounded: bool
    usage: Usage | None
    model: str


@dataclass(frozen=True, slots=True)
class Health:
    is_healthy: bool
    detail: str = ""


class AnswerProvider(Protocol):
    """Who answers. `price` is what the model costs, `seconds` how long all attempts of one call take at most."""

    name: str

    @property
    def model(self) -> str: ...

    @property
    def price(self) -> Price: ...

    @property
    def seconds(self) -> float: ...

    def bound(self, question: str, sources: Sequence[Source]) -> Usage:
        """Return the most that all attempts to answer this can use."""

    def answer(self, question: str, sources: Sequence[Source], *, hear: Hear | None = None) -> Completion:
        """Answer `question` from `sources`. With `hear` the words of the answer are told as they come, before they
        are checked. Raises ProviderUnavailable, ProviderTimedOut (no answer: it may have cost something),
        ProviderAnswerInvalid, ProviderQuotaReached, AnswerBlocked, AnswerIncomplete, ProviderMisconfigured."""

    def health(self) -> Health:
        """Say whether it is set up, without asking anything that costs."""
