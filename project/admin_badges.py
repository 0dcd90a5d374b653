"""Figures in the menu that somebody should act on. Read at most once in 30 seconds, through indexes, with a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.core.cache import cache

KEPT_SECONDS: Final = 30
COUNTED_AT_MOST: Final = 1000

_sources: dict[str, Callable[[], int]] = {}


def badge(name: str) -> Callable[[Callable[[], int]], Callable[[], int]]:
    """Register the source of a badge: a function that counts, at most `COUNTED_AT_MOST`."""

    def register(count: Callable[[], int]) -> Callable[[], int]:
        _sources[name] = count
        return count

    return register


def badges() -> dict[str, int]:
    """Return all badges by name."""
    kept = cache.get("admin:badges")
    if kept is None:
        kept = {name: count() for name, count in _sources.items()}
        cache.set("admin:badges", kept, KEPT_SECONDS)
    return dict(kept)
