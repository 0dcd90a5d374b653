"""Deleting what is older than it is kept, in transactions of a bounded size."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet

_CHUNK: Final = 500


def delete_in_chunks(old: QuerySet[Any]) -> int:
    """Delete the rows of an ordered queryset, 500 a transaction; return how many. Rows that somebody else has locked
    are left for the next time."""
    gone = 0
    while True:
        with transaction.atomic():
            chunk = list(old.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:_CHUNK])
            old.model._base_manager.filter(pk__in=chunk).delete()
        gone += len(chunk)
        if len(chunk) < _CHUNK:
            return gone
