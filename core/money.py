"""Money: integer minor units and an ISO 4217 code. No float comes near it.

Inside a calculation amounts are exact fractions; a line is rounded once, half-up (half away from zero, so that a
refund mirrors its charge); a sum is split by largest remainder, so that the parts always add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from babel.core import get_global
from babel.numbers import format_currency, get_currency_precision

DEFAULT_LOCALE = "en_US"
LARGEST_MINOR = 10**15  # no single price, invoice or payment is larger; sums of a thousand still fit a bigint


class CurrencyMismatch(ValueError):
    """Amounts of two currencies met in one calculation."""


def is_currency(code: str) -> bool:
    """Whether `code` is an ISO 4217 code (three capitals)."""
    return len(code) == 3 and code.isupper() and code in get_global("all_currencies")


def currencies() -> list[str]:
    """Return every ISO 4217 code, sorted."""
    return sorted(code for code in get_global("all_currencies") if is_currency(code))


def exponent(currency: str) -> int:
    """Return how many decimals the currency has (USD 2, JPY 0, BHD 3; ISO 4217)."""
    return int(get_currency_precision(currency))


def round_half_up(value: Fraction) -> int:
    """Round to the nearest integer; halves away from zero."""
    magnitude = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return magnitude if value >= 0 else -magnitude


def split_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` minor units by `weights` (non-negative, not all 0) into parts that sum to it exactly.

    Hamilton's method: each part is rounded down, what is left goes to the largest remainders, first come first.
    """
    whole = sum(weights)
    if whole <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("Weights must be non-negative and not all zero.")
    sign, amount = (-1, -total) if total < 0 else (1, total)
    parts = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: -(amount * weights[index] % whole))
    for index in by_remainder[: amount - sum(parts)]:
        parts[index] += 1
    return [sign * part for part in parts]


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount: `minor` units (cents for USD) of `currency`."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read a decimal number as written by people or files ("29.85"). Raises ValueError, also when it has more
        decimals than the currency."""
        try:
            value = Decimal(text.strip())
        except InvalidOperation:
            raise ValueError(f"{text!r} is not an amount.") from None
        if not value.is_finite():
            raise ValueError(f"{text!r} is not an amount.")
        scaled = value.scaleb(exponent(currency))
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{text!r} has more decimals than {currency} has.")
        return cls(int(scaled), currency)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be added.")
        return other.minor

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __bool__(self) -> bool:
        return self.minor != 0

    def times(self, factor: int | Fraction) -> Money:
        """Multiply exactly and round once, half-up."""
        return Money(round_half_up(Fraction(self.minor) * factor), self.currency)

    def split(self, weights: Sequence[int]) -> list[Money]:
        """Split by largest remainder; the parts sum to this amount."""
        return [Money(part, self.currency) for part in split_largest_remainder(self.minor, weights)]

    @property
    def decimal(self) -> Decimal:
        """The amount in major units."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    def format(self, locale: str = DEFAULT_LOCALE) -> str:
        """Return the amount as people write it ("$1,234.50")."""
        return str(format_currency(self.decimal, self.currency, locale=locale))

    __str__ = format


def total(amounts: Iterable[Money], currency: str) -> Money:
    """Return the sum, zero in `currency` when there are none."""
    result = Money(0, currency)
    for amount in amounts:
        result += amount
    return result
