"""The sealer: gives committed events their place in one gapless order, and seals them in the Merkle log.

An event is taken once every transaction that might still write an earlier one has ended: its transaction lies below
`pg_snapshot_xmin`. The order is (transaction, id), so that what is sealed later never belongs before what is sealed
already, and a follower that has read up to a position has missed nothing.

What waits stands in a queue table of its own, which the sealer empties. The event row itself is never updated, and with
ten million events sealed the question "what is next?" still reads only what waits. A key on the transaction number of
the last sealed event would need no queue, but after a restore into a new cluster those numbers begin anew and the
sealer would pass over everything written since; here a number that lies ahead of the cluster's own is known to come
from before the restore, and is sealed at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import connection, transaction

from audit.leaves import leaf_of
from audit.merkle import CompactTree, FullNode
from audit.models import Event, Node, Position, Tree
from core import clock
from core.relay import HeldLease, duty

CHUNK = 500

# Two ranges of one index: what is held back is not read, however much it is.
_NEXT = """
WITH present AS MATERIALIZED (SELECT pg_current_snapshot() AS snapshot)
SELECT event_id FROM (
    (SELECT xid, event_id FROM audit_unsealed WHERE xid < (SELECT pg_snapshot_xmin(snapshot) FROM present)
     ORDER BY xid, event_id LIMIT %(size)s)
    UNION ALL
    (SELECT xid, event_id FROM audit_unsealed WHERE xid >= (SELECT pg_snapshot_xmax(snapshot) FROM present)
     ORDER BY xid, event_id LIMIT %(size)s)
) AS sealable
ORDER BY xid, event_id LIMIT %(size)s
"""


class LogBroken(Exception):
    """The log does not hold what it should: an event that was queued is gone. Somebody went past the triggers."""


@duty("seal", order=10)
def seal(lease: HeldLease) -> int:
    """Seal one chunk (500 events at most) in one transaction under the relay's lease; return how many."""
    with transaction.atomic():
        lease.hold()
        return seal_chunk()


def seal_chunk(size: int = CHUNK) -> int:
    """Seal what comes next, in the present transaction; return how many events. The tree's row is locked, so that two
    sealers cannot both give out a position even without a lease."""
    tree = Tree.objects.select_for_update().get()
    event_ids = _next(size)
    if not event_ids:
        return 0
    events = Event.objects.in_bulk(event_ids)
    missing = [event_id for event_id in event_ids if event_id not in events]
    if missing:
        raise LogBroken(f"{len(missing)} queued events are not in the log, the first {missing[0]}.")
    compact = CompactTree(tree.size, [bytes(peak) for peak in tree.peaks])
    leaves = [(event_id, leaf_of(events[event_id])) for event_id in event_ids]
    Position.objects.bulk_create(
        Position(position=tree.size + place, event_id=event_id, leaf_hash=leaf)
        for place, (event_id, leaf) in enumerate(leaves, start=1)
    )
    _write_nodes(compact.extend(leaf for _, leaf in leaves))
    _dequeue(event_ids)
    tree.size, tree.peaks, tree.sealed_at = compact.size, compact.peaks, clock.now()
    tree.save()
    return len(leaves)


def _next(size: int) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, {"size": size})
        return [row[0] for row in cursor.fetchall()]


def _write_nodes(nodes: Iterable[FullNode]) -> None:
    Node.objects.bulk_create(Node(level=node.level, index=node.index, hash=node.hash) for node in nodes)


def _dequeue(event_ids: list[UUID]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_unsealed WHERE event_id = ANY(%s)", [event_ids])
        if cursor.rowcount != len(event_ids):
            raise LogBroken("The queue changed while it was sealed.")
