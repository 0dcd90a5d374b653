from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core import outside
from core.breaker import Breaker
from tests.support import gemini

PRICES = {gemini.MODEL: {"input": 300_000, "output": 2_500_000}}


@pytest.fixture
def google(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[gemini.Gemini]:
    """A loopback Gemini that the product is set to, with fresh breaker and retries."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with gemini.Gemini() as server:
        settings.AI_PROVIDER = "gemini"
        settings.GEMINI_API_KEY = "key-of-the-tests"
        settings.GEMINI_MODEL = gemini.MODEL
        settings.GEMINI_BASE_URL = server.url
        settings.AI_PRICES = PRICES
        known = outside.provider("gemini")
        known.breaker, known.budget, known.first_wait = Breaker("gemini"), outside.RetryBudget(), 0.01
        yield server
