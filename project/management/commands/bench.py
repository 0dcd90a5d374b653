"""`manage.py bench`: what a request costs, beside plain Django REST framework, in the same run."""

from __future__ import annotations

import json
import statistics
from contextlib import ExitStack, closing
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import track
from rich.table import Table

from project.benchmarks import permissions, streams
from project.benchmarks.sides import Side, scratch_servers

OURS, PLAIN = "project.settings", "project.benchmarks.plain"


class Command(BaseCommand):
    help = (
        "Compare an authenticated read and a list of 20, both with session and access check, with plain Django REST "
        "framework and simplejwt reading the same rows without them. Runs on scratch servers; needs the development "
        "packages. Prints the median ratio of CPU per request (ours / plain) over paired rounds."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "what",
            nargs="?",
            choices=("requests", "streams", "permissions"),
            default="requests",
            help="requests: as above. streams: memory, queries and delay of live streams that are open and idle. "
            "permissions: checks and lists of the permission engine over 8,000 and over 800,000 tuples",
        )
        parser.add_argument("--streams", type=int, default=2000, help="streams that are open at once (2000)")
        parser.add_argument("--rounds", type=int, default=15, help="paired rounds (15)")
        parser.add_argument("--times", type=int, default=200, help="requests of each kind in a round (200)")
        parser.add_argument("--scale", type=float, default=1.0, help="1 is 800,000 tuples (1)")
        parser.add_argument("--without-openfga", action="store_true", help="ask no OpenFGA server beside our engine")
        parser.add_argument("--json", action="store_true", help="print the figures as JSON")

    def handle(self, *, rounds: int, times: int, **options: Any) -> None:
        if options["what"] == "streams":
            self._show_streams(options["streams"], is_json=options["json"])
            return
        if options["what"] == "permissions":
            self._show_permissions(
                options["scale"], times, is_json=options["json"], with_openfga=not options["without_openfga"]
            )
            return
        with ExitStack() as stack:
            environment = stack.enter_context(scratch_servers())
            ours = stack.enter_context(closing(Side(OURS, environment)))
            plain = stack.enter_context(closing(Side(PLAIN, environment)))
            figures = self.compare(ours, plain, rounds, times, is_quiet=options["json"])
        if options["json"]:
            self.stdout.write(json.dumps(figures, indent=2))
            return
        table = Table("", "ours, ms", "plain, ms", "ratio, median", "ratio, min to max", title="CPU per request")
        for name, row in figures.items():
            spread = f"{row['ratio_min']:.2f} to {row['ratio_max']:.2f}"
            table.add_row(name, f"{row['ours_ms']:.3f}", f"{row['plain_ms']:.3f}", f"{row['ratio']:.2f}", spread)
        Console().print(table)

    def _show_streams(self, count: int, *, is_json: bool) -> None:
        found = streams.measure(count, say=(lambda text: None) if is_json else self.stdout.write)
        if is_json:
            self.stdout.write(json.dumps(found, indent=2))
            return
        table = Table("", "", title=f"{count} live streams, open and idle")
        for name, value in found.items():
            table.add_row(name.replace("_", " "), f"{value:g}")
        Console().print(table)

    def _show_permissions(self, scale: float, times: int, *, is_json: bool, with_openfga: bool) -> None:
        say = (lambda text: None) if is_json else self.stdout.write
        found, theirs = permissions.measure(scale, times, say=say, with_openfga=with_openfga)
        if is_json:
            self.stdout.write(json.dumps({**found, **({"openfga": theirs} if theirs else {})}, indent=2))
            return
        table = Table("", "few tuples", "many", "growth", "OpenFGA, many", "OpenFGA / ours", title="Permission engine")
        for name, (few, many) in found.items():
            growth = f"{many / few:.2f}" if few else ""
            server = theirs.get(name)
            beside = ("", "") if server is None else (f"{server:.4g}", f"{server / many:.1f}" if many else "")
            table.add_row(name.replace("_", " "), f"{few:.4g}", f"{many:.4g}", growth, *beside)
        Console().print(table)

    def compare(
        self, ours: Side, plain: Side, rounds: int, times: int, *, is_quiet: bool
    ) -> dict[str, dict[str, float]]:
        """Let both sides read in turn, round by round, after a warm-up; return the figures of each kind of request."""
        made = ours.order(do="prepare", rows=50)
        simple = plain.order(do="token", user=made["user"])["token"]
        kinds = {
            "read": (f"/api/v1/subscriptions/{made['public_id']}", f"/subscriptions/{made['id']}/"),
            "list of 20": ("/api/v1/subscriptions?limit=20", "/subscriptions/"),
        }
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
        for number in track(range(rounds + 1), description="Measuring", disable=is_quiet):
            for name, (our_path, plain_path) in kinds.items():
                pair = _cost(ours, our_path, made["token"], times), _cost(plain, plain_path, simple, times)
                if number:  # the first round warms up
                    measured[name].append(pair)
        return {name: _figures(pairs) for name, pairs in measured.items()}


def _cost(side: Side, path: str, token: str, times: int) -> float:
    answer = side.order(do="read", path=path, token=token, times=times)
    if answer["status"] != ["200 OK"]:
        raise CommandError(f"GET {path} answered {', '.join(answer['status'])}")
    return float(answer["cpu"]) / times * 1000


def _figures(pairs: list[tuple[float, float]]) -> dict[str, float]:
    ratios = [ours / plain for ours, plain in pairs]
    return {
        "ours_ms": statistics.median(ours for ours, _ in pairs),
        "plain_ms": statistics.median(plain for _, plain in pairs),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }
