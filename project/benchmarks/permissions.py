"""What questions to the permission engine cost, and how that grows from some thousand tuples to 800,000."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing

from project.benchmarks.sides import Side, scratch_servers

_WORKER = "project.benchmarks.permissions_worker"

Figures = dict[str, tuple[float, float]]


def measure(scale: float, times: int, *, say: Callable[[str], object]) -> Figures:
    """Return each figure at a hundredth of `scale` and at `scale` (1 is 800,000 tuples)."""
    with ExitStack() as stack:
        environment = stack.enter_context(scratch_servers()) | {"LOG_LEVEL": "ERROR"}
        worker = stack.enter_context(closing(Side("project.settings", environment, _WORKER)))
        found = []
        for one in (scale / 100, scale):
            made = worker.order(do="build", scale=one)
            say(f"Asking about {made['tuples']} tuples ...")
            found.append({"tuples": made["tuples"]} | worker.order(do="measure", times=times))
    return {name: (found[0][name], found[1][name]) for name in found[0]}
