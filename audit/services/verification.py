"""Checking the log against itself: leaves recomputed, positions dense, nodes and root as they follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.db import connection, transaction

from audit.leaves import leaf_of
from audit.merkle import CompactTree, FullNode, root_of
from audit.models import Event, Node, Position, Tree

CHUNK = 1000
_MOST_FAULTS = 100

# An event that is neither sealed nor waiting was hidden from the sealer.
_HIDDEN = """
SELECT id FROM audit_event AS event
WHERE NOT EXISTS (SELECT FROM audit_position AS position WHERE position.event_id = event.id)
    AND NOT EXISTS (SELECT FROM audit_unsealed AS waiting WHERE waiting.event_id = event.id)
LIMIT 100
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` is position (missing), event (missing), leaf, node or root (not what follows), or unsealed (hidden)."""

    kind: str
    where: str


@dataclass(slots=True)
class Report:
    """What was checked, and at most 100 faults."""

    size: int
    root: bytes = b""
    faults: list[Fault] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        return not self.faults

    def add(self, kind: str, where: object) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(Fault(kind, str(where)))


def verify(progress: Callable[[int, int], None] = lambda done, total: None) -> Report:
    """Recompute the whole log in one snapshot and return what does not fit. `progress` is told leaves done and all."""
    with transaction.atomic():
        if not connection.savepoint_ids:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("SET LOCAL statement_timeout = 0")
        tree = Tree.objects.get()
        report, compact = Report(tree.size), CompactTree()
        for done, positions in _chunks(report):
            leaves = _check_leaves(positions, report)
            _check_nodes(compact.extend(leaves), report)
            progress(done, tree.size)
        if compact.size != tree.size or compact.root != root_of([bytes(peak) for peak in tree.peaks]):
            report.add("root", f"{compact.size} leaves give {compact.root.hex()}")
        report.root = compact.root
        with connection.cursor() as cursor:
            cursor.execute(_HIDDEN)
            for (event_id,) in cursor.fetchall():
                report.add("unsealed", event_id)
    return report


def _chunks(report: Report) -> Iterator[tuple[int, list[Position]]]:
    last = 0
    while True:
        rows = list(Position.objects.filter(position__gt=last).order_by("position")[:CHUNK])
        if not rows:
            return
        for row in rows:
            if row.position != last + 1:
                report.add("position", last + 1)
            last = row.position
        yield last, rows


def _check_leaves(positions: list[Position], report: Report) -> list[bytes]:
    """Return the leaves as they follow from the events; where an event is gone, as they stand."""
    events = Event.objects.in_bulk([row.event_id for row in positions])
    leaves = []
    for row in positions:
        event, stored = events.get(row.event_id), bytes(row.leaf_hash)
        if event is None:
            report.add("event", row.event_id)
            leaves.append(stored)
            continue
        leaf = leaf_of(event)
        if leaf != stored:
            report.add("leaf", row.position)
        leaves.append(leaf)
    return leaves


def _check_nodes(expected: list[FullNode], report: Report) -> None:
    by_level: dict[int, list[int]] = {}
    for node in expected:
        by_level.setdefault(node.level, []).append(node.index)
    stored: dict[tuple[int, int], bytes] = {}
    for level, indexes in by_level.items():
        for row in Node.objects.filter(level=level, index__in=indexes):
            stored[level, row.index] = bytes(row.hash)
    for node in expected:
        if stored.get((node.level, node.index)) != node.hash:
            report.add("node", f"{node.level}/{node.index}")
