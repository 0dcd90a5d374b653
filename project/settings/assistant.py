"""What is set for the assistant: who answers, at which price, and how much may be spent on it in a day."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from core.config import Variable, choice, integer, text, url
from core.money import is_currency

LOCAL: Final = "local"
GEMINI: Final = "gemini"
_GROUP: Final = "Assistant"


def price_table(value: str) -> dict[str, dict[str, int]]:
    """A table of prices: {"model": {"input": 250000, "output": 1500000}}, micro-units for a million tokens."""
    try:
        table = json.loads(value)
    except json.JSONDecodeError as fault:
        raise ValueError(f"not JSON: {fault.msg}") from None
    if not isinstance(table, dict):
        raise ValueError('expected {"model": {"input": 250000, "output": 1500000}}')
    for model, price in table.items():
        parts = price if isinstance(price, dict) else {}
        is_whole = all(type(part) is int and part >= 0 for part in parts.values())
        if set(parts) != {"input", "output"} or not is_whole:
            raise ValueError(f"the price of {model!r} needs input and output in whole micro-units, not below zero")
    return table


def currency(value: str) -> str:
    """An ISO 4217 code."""
    if not is_currency(value):
        raise ValueError("expected an ISO 4217 code such as USD")
    return value


def not_negative(value: int, kind: str) -> None:
    if value < 0:
        raise ValueError("expected 0 or more")


def some_seconds(value: int, kind: str) -> None:
    if not 1 <= value <= 120:
        raise ValueError("expected 1 to 120")


def given_for_gemini(value: str, others: Mapping[str, Any]) -> None:
    if others["AI_PROVIDER"] == GEMINI and not value:
        raise ValueError("it is not set, and AI_PROVIDER is gemini")


def priced(value: str, others: Mapping[str, Any]) -> None:
    given_for_gemini(value, others)
    if others["AI_PROVIDER"] == GEMINI and value not in others["AI_PRICES"]:
        raise ValueError(f"AI_PRICES has no price for {value!r}: what it costs would not be counted")


VARIABLES: list[Variable] = [
    Variable(
        "AI_PROVIDER",
        choice(LOCAL, GEMINI),
        LOCAL,
        "Who answers questions: local quotes what was found; gemini sends question and passages to Google.",
        _GROUP,
        number=60,
    ),
    Variable(
        "GEMINI_API_KEY",
        text,
        "",
        "The key of the Gemini API.",
        _GROUP,
        is_secret=True,
        number=61,
        fits=given_for_gemini,
    ),
    Variable("GEMINI_MODEL", text, "gemini-3.1-flash-lite", "The model that answers.", _GROUP, number=62, fits=priced),
    Variable(
        "GEMINI_BASE_URL",
        url("http", "https"),
        "https://generativelanguage.googleapis.com",
        "Where the Gemini API is reached.",
        _GROUP,
        number=63,
    ),
    Variable(
        "AI_PRICES",
        price_table,
        {"gemini-3.1-flash-lite": {"input": 250_000, "output": 1_500_000}},
        "What models cost, as JSON: millionths of AI_CURRENCY for a million tokens in and out.",
        _GROUP,
        number=64,
    ),
    Variable("AI_CURRENCY", currency, "USD", "The currency of AI_PRICES.", _GROUP, number=65),
    Variable(
        "AI_DAILY_BUDGET",
        integer,
        5_000_000,
        "Millionths of AI_CURRENCY that one organisation may spend on answers in a day (UTC).",
        _GROUP,
        number=66,
        rule=not_negative,
    ),
    Variable("AI_TIMEOUT", integer, 20, "Seconds for one call of the provider.", _GROUP, number=67, rule=some_seconds),
    Variable(
        "AI_RETENTION_DAYS",
        integer,
        90,
        "Days that questions and answers are kept for who asked; the log keeps what the calls cost.",
        _GROUP,
        number=68,
        rule=not_negative,
    ),
]
