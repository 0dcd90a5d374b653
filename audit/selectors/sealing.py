"""How far sealing is behind, and who holds it back."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from core import clock
from core.ids import moment_of

_HOLDERS = """
SELECT 'transaction', writer.pid::text, coalesce(application_name, ''), coalesce(state, ''),
    extract(epoch FROM clock_timestamp() - xact_start)::float, left(coalesce(query, ''), 200)
FROM (SELECT DISTINCT pid FROM pg_locks
      WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted AND pid <> pg_backend_pid()) AS writer
LEFT JOIN pg_stat_activity AS activity ON activity.pid = writer.pid
UNION ALL
SELECT 'prepared', gid, owner::text, 'prepared', extract(epoch FROM clock_timestamp() - prepared)::float, ''
FROM pg_prepared_xacts
ORDER BY 5 DESC NULLS LAST LIMIT 20
"""
_LAG = """
SELECT (SELECT count(*) FROM (SELECT FROM audit_unsealed LIMIT 100000) AS waiting),
    (SELECT event_id FROM audit_unsealed ORDER BY xid, event_id LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """An open writing transaction: nothing that committed after it began is sealed before it ends. `kind` is
    `transaction` (then `name` is the server process) or `prepared` (the global id). `seconds` since it began."""

    kind: str
    name: str
    application: str
    state: str
    seconds: float
    query: str


@dataclass(frozen=True, slots=True)
class Lag:
    """How many events wait (100,000 means at least that many) and for how many seconds the first has."""

    events: int
    seconds: float


def holders() -> list[Holder]:
    """Return who holds sealing back, the longest first. Every writer has a lock on its own
    transaction number, seen by all roles; what it runs is seen only of one's own role."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLDERS)
        return [
            Holder(kind, name, application, state, seconds or 0.0, query)
            for kind, name, application, state, seconds, query in cursor.fetchall()
        ]


def lag() -> Lag:
    """Return how far the sealer is behind."""
    with connection.cursor() as cursor:
        cursor.execute(_LAG)
        count, first = cursor.fetchone()
    return Lag(count, max(0.0, (clock.now() - moment_of(first)).total_seconds()) if first else 0.0)
