"""What makes a request happen once is kept only for as long as it may be sent again: docs/retention.md."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import transaction

from core import clock, idempotency
from core.models import AdminSubmission
from core.relay.duties import duty
from core.relay.lease import HeldLease
from core.streams import tickets

FORM_TOKENS_KEPT = timedelta(days=30)
_BATCH = 500


@duty("idempotency keys", every=600, order=96)
def forget_old_keys(lease: HeldLease) -> int:
    """Delete keys past their 24 hours; returns how many."""
    return _in_batches(lease, idempotency.purge, idempotency.PURGE_BATCH)


@duty("form tokens", every=3600, order=97)
def forget_old_form_tokens(lease: HeldLease) -> int:
    """Delete the tokens of admin forms that were sent more than 30 days ago; returns how many."""
    return _in_batches(lease, _purge_form_tokens, _BATCH)


@duty("stream tickets", every=600, order=97)
def forget_old_stream_tickets(lease: HeldLease) -> int:
    """Delete tickets of streams, used or not, an hour after their stream ended; returns how many."""
    return _in_batches(lease, lambda: tickets.purge(clock.now()), tickets.PURGE_BATCH)


def _purge_form_tokens() -> int:
    old = AdminSubmission.objects.filter(sent_at__lt=clock.now() - FORM_TOKENS_KEPT)
    deleted, _ = AdminSubmission.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:_BATCH])).delete()
    return deleted


def _in_batches(lease: HeldLease, purge: Callable[[], int], batch: int) -> int:
    """Call `purge` until it finds less than a batch; each batch commits."""
    total = 0
    while True:
        with transaction.atomic():
            lease.hold()
            deleted = purge()
        total += deleted
        if deleted < batch:
            return total
