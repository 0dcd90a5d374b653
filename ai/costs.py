"""What calls cost: whole micro-units (millionths) of one currency, by a table of prices per million tokens.

A cost is an exact fraction until it is rounded once, half-up, for one call; a bound is rounded up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from django.conf import settings

from core.errors import ProviderMisconfigured
from core.money import round_half_up

PER = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counts them; what it thinks before it answers counts as output."""

    tokens_in: int = 0
    tokens_out: int = 0

    def __post_init__(self) -> None:
        assert self.tokens_in >= 0 <= self.tokens_out, "tokens are counted from zero"

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out)


@dataclass(frozen=True, slots=True)
class Price:
    """Micro-units for a million tokens."""

    input: int
    output: int

    def exact(self, usage: Usage) -> Fraction:
        return Fraction(usage.tokens_in * self.input + usage.tokens_out * self.output, PER)

    def cost(self, usage: Usage) -> int:
        """Return what a call cost, in micro-units."""
        return round_half_up(self.exact(usage))

    def bound(self, usage: Usage) -> int:
        """Return what a call can cost at most, in micro-units: never less than `cost` of the same usage."""
        exact = self.exact(usage)
        return -(-exact.numerator // exact.denominator)


FREE = Price(0, 0)


def price_of(model: str) -> Price:
    """Return the price of a model. Raises ProviderMisconfigured when AI_PRICES names none."""
    prices: Mapping[str, Mapping[str, int]] = settings.AI_PRICES
    if model not in prices:
        raise ProviderMisconfigured(f"AI_PRICES has no price for the model '{model}'.", setting="AI_PRICES")
    return Price(prices[model]["input"], prices[model]["output"])
