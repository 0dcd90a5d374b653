"""What questions to the permission engine cost, and how that grows from some thousand tuples to 800,000."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing

from project.benchmarks.openfga_server import openfga_server
from project.benchmarks.sides import Side, scratch_servers
from project.bootstrap.openfga import NoServer

_WORKER = "project.benchmarks.permissions_worker"

Figures = dict[str, tuple[float, float]]


def measure(
    scale: float, times: int, *, say: Callable[[str], object], with_openfga: bool = True
) -> tuple[Figures, dict[str, float]]:
    """Return each figure at a hundredth of `scale` and at `scale` (1 is 800,000 tuples), and those of an OpenFGA server
    at `scale` under the same names: none where there is no server, and `say` is told why."""
    with ExitStack() as stack:
        environment = stack.enter_context(scratch_servers()) | {"LOG_LEVEL": "ERROR"}
        worker = stack.enter_context(closing(Side("project.settings", environment, _WORKER)))
        found = []
        for one in (scale / 100, scale):
            made = worker.order(do="build", scale=one)
            say(f"Asking about {made['tuples']} tuples ...")
            found.append({"tuples": made["tuples"]} | worker.order(do="measure", times=times))
        theirs: dict[str, float] = {}
        if with_openfga:
            try:
                address = stack.enter_context(openfga_server(environment["MIGRATION_DATABASE_URL"]))
                say(f"Writing {found[1]['tuples']} tuples to an OpenFGA server, and asking it the same ...")
                theirs = worker.order(do="openfga", address=address, times=times)
            except NoServer as fault:
                say(f"No OpenFGA server: {fault}.")
    return {name: (found[0][name], found[1][name]) for name in found[0]}, theirs
