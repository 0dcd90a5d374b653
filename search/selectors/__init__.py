"""Questions to the index, filtered by who asks."""

from search.selectors.finding import Hit, Results, best_of_each, find
from search.selectors.passages import Passage, passages

__all__ = ["Hit", "Passage", "Results", "best_of_each", "find", "passages"]
