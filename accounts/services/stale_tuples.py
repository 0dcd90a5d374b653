"""Tuples that outlive what they speak of. Those of our own rows follow them (`accounts.permissions.mirrors`); others
may have been written by hand, and nobody would find them any more."""

from __future__ import annotations

from typing import Final

from django.db.models import Q

from accounts.models import CustomRole, RelationTuple, Team
from accounts.permissions import asking
from accounts.permissions.product import STORE
from accounts.permissions.tuples import Tuple

_KINDS: Final[dict[type, str]] = {Team: "team", CustomRole: "role"}


def forget(row: Team | CustomRole) -> None:
    """Delete every tuple of which the row is the object or the subject, in the transaction that deletes the row."""
    kind, key = _KINDS[type(row)], str(row.pk)
    named = Q(object_type=kind, object_id=key) | Q(subject_type=kind, subject_id=key)
    found = RelationTuple.objects.filter(named, store__name=STORE)
    asking.delete(list(map(Tuple.of, found)))
