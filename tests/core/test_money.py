from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import CurrencyMismatch, Money, exponent, is_currency, round_half_up, split_largest_remainder, total

amounts = st.integers(min_value=-(10**15), max_value=10**15)
weights = st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=30).filter(any)


@given(amounts, weights)
def test_splits_without_losing_a_cent(amount: int, shares: list[int]) -> None:
    parts = split_largest_remainder(amount, shares)
    assert sum(parts) == amount
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - Fraction(amount * share, sum(shares))) < 1


@given(amounts)
def test_splits_a_refund_as_it_split_the_charge(amount: int) -> None:
    shares = [3, 3, 1]
    assert split_largest_remainder(-amount, shares) == [-part for part in split_largest_remainder(amount, shares)]


@pytest.mark.parametrize("shares", [[], [0, 0], [1, -1]])
def test_refuses_weights_that_share_nothing(shares: list[int]) -> None:
    with pytest.raises(ValueError):
        split_largest_remainder(100, shares)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(Fraction(1, 2), 1), (Fraction(-1, 2), -1), (Fraction(3, 2), 2), (Fraction(149, 100), 1), (Fraction(0), 0)],
)
def test_rounds_halves_away_from_zero(value: Fraction, rounded: int) -> None:
    assert round_half_up(value) == rounded


@given(st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**6))
def test_never_rounds_by_more_than_a_half(value: Fraction) -> None:
    assert abs(round_half_up(value) - value) <= Fraction(1, 2)
    assert round_half_up(-value) == -round_half_up(value)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("29.85", "USD", 2985),
        (" 316985.75 ", "USD", 31698575),
        ("1200", "JPY", 1200),
        ("1.234", "BHD", 1234),
        ("-5", "EUR", -500),
    ],
)
def test_reads_amounts_as_files_write_them(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [("", "USD"), ("abc", "USD"), ("1.005", "USD"), ("0.5", "JPY"), ("NaN", "USD"), ("inf", "USD"), ("1,5", "EUR")],
)
def test_refuses_what_is_no_amount(text: str, currency: str) -> None:
    with pytest.raises(ValueError):
        Money.parse(text, currency)


def test_refuses_to_add_two_currencies() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(1, "USD") + Money(1, "EUR")


@given(st.lists(amounts, max_size=20))
def test_sums_exactly(minors: list[int]) -> None:
    assert total((Money(minor, "USD") for minor in minors), "USD").minor == sum(minors)


def test_knows_currencies_and_their_decimals() -> None:
    assert [exponent(code) for code in ("USD", "JPY", "BHD")] == [2, 0, 3]
    assert is_currency("EUR")
    assert not is_currency("eur")
    assert not is_currency("EURO")
    assert not is_currency("ZZZ")


def test_writes_amounts_as_people_do() -> None:
    assert str(Money(123450, "USD")) == "$1,234.50"
    assert str(Money(-500, "JPY")) == "-¥500"
