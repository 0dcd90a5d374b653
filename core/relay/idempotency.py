"""Idempotency keys are kept for 24 hours."""

from __future__ import annotations

from django.db import transaction

from core import idempotency
from core.relay.duties import duty
from core.relay.lease import HeldLease


@duty("idempotency keys", every=600, order=96)
def forget_old_keys(lease: HeldLease) -> int:
    """Delete keys past their 24 hours, in chunks that each commit; returns how many."""
    total = 0
    while True:
        with transaction.atomic():
            lease.hold()
            deleted = idempotency.purge()
        total += deleted
        if deleted < idempotency.PURGE_BATCH:
            return total
