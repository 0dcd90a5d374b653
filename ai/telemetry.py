"""Figures of what answers use. How long calls take and how they end stands in `outside_call_duration_seconds`."""

from __future__ import annotations

from prometheus_client import Counter

from ai.costs import Usage

TOKENS = Counter("ai_tokens_total", "Tokens that answers used.", ["provider", "direction"])  # direction: in, out
COST = Counter("ai_cost_micro_total", "Millionths of a currency that questions cost.", ["provider", "currency"])
QUESTIONS = Counter("ai_questions_total", "Questions, and what became of them.", ["provider", "outcome"])


def used(provider: str, usage: Usage) -> None:
    """Count the tokens of one attempt."""
    TOKENS.labels(provider, "in").inc(usage.tokens_in)
    TOKENS.labels(provider, "out").inc(usage.tokens_out)
