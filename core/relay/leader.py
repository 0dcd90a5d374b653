"""Whether a relay leads: asked by `/health` and `manage.py doctor`. Without one nothing is published, sealed, told."""

from __future__ import annotations

from django.db import connection

from core.health import Finding, Status, probe
from core.relay.loop import LEASE_NAME

_LATE_SECONDS = 30.0  # beyond the lease's own end: another relay would have taken over by now
_AGE = """
SELECT holder, extract(epoch FROM clock_timestamp() - GREATEST(expires_at, 'epoch'))::float8
FROM core_lease WHERE name = %s
"""


@probe("relay")
def relay() -> Finding:
    """A relay leads, or led until a moment ago."""
    with connection.cursor() as cursor:
        cursor.execute(_AGE, [LEASE_NAME])
        row = cursor.fetchone()
    if row is None:
        return Finding(Status.WARNING, "No relay has ever led here: start `manage.py relay`.")
    holder, late = row
    if late > _LATE_SECONDS:
        return Finding(
            Status.WARNING, "No relay leads: events and jobs wait. Start `manage.py relay`.", {"last": holder}
        )
    return Finding(inner={"leader": holder})
