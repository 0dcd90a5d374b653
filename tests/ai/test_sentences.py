"""Where the local provider sees sentences end."""

from __future__ import annotations

import pytest

from ai.providers.base import Source
from ai.providers.local import LocalProvider


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "Invoice EX-1 for Acme Inc. over $49.00: open, due on 2026-03-02.",
            "Invoice EX-1 for Acme Inc. over $49.00: open, due on 2026-03-02.",
        ),
        ("Invoice EX-1 is open. Nobody has paid it.", "Invoice EX-1 is open."),
        ("Invoice EX-1 is open.\nit was sent.", "Invoice EX-1 is open."),
    ],
)
def test_quotes_a_sentence_to_its_end_and_no_further(body: str, said: str) -> None:
    completion = LocalProvider().answer("Is invoice EX-1 open?", [Source("Invoice EX-1", body)])
    assert [quote.words for quote in completion.quotes] == [said]
