"""Partitions made ahead, so that the log never has to wait for one (and if it must, the default one takes it)."""

from __future__ import annotations

from django.db import connection, transaction

from core.relay import HeldLease, duty

MONTHS_AHEAD = 6


@duty("partitions", every=3600, order=90)
def make_ahead(lease: HeldLease) -> int:
    """Make the partitions of this month and the next six where they are missing; return how many were made."""
    with transaction.atomic():
        lease.hold()
        with connection.cursor() as cursor:
            cursor.execute("SELECT audit_make_partitions(%s)", [MONTHS_AHEAD])
            return int(cursor.fetchone()[0])
