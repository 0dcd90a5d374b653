"""How long something takes, in milliseconds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable


def milliseconds(work: Callable[[], object]) -> float:
    """Do something once."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def median_of(works: Iterable[Callable[[], object]]) -> float:
    """Do several things, each once; return what half of them stay below."""
    return statistics.median([milliseconds(work) for work in works])


def median_when_warm(work: Callable[[], object], times: int = 3) -> float:
    """Do the same so often, and once before, which does not count."""
    work()
    return median_of([work] * times)
