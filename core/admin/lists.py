"""Lists that stay fast on large tables: no full count, no deep offset, search through indexes only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar, cast

from django.core.paginator import Paginator
from django.db import connections
from django.db.models import Model, QuerySet
from django.db.models.functions import Lower
from django.utils.functional import cached_property

from core.ids import MalformedId, split

_M = TypeVar("_M", bound=Model)

COUNTED_AT_MOST: Final = 10_000
FOUND_AT_MOST: Final = 500
_TRIGRAM: Final = 3


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not subscriptable at run time
    """Counts at most `COUNTED_AT_MOST` rows and says "10,000+" beyond; who wants to see further narrows the list.

    A table that PostgreSQL's own statistics know to be larger is not counted at all when nothing narrows it.
    """

    template_name = "admin/pagination_bounded.html"

    @cached_property
    def estimate(self) -> int | None:
        """The rows of the whole table by `pg_class.reltuples`; None when the list is narrowed, or nothing is known."""
        rows = self.object_list
        if not isinstance(rows, QuerySet) or rows.query.where or rows.query.is_sliced:
            return None
        with connections[rows.db].cursor() as cursor:
            cursor.execute(
                "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [f'"{rows.model._meta.db_table}"']
            )
            row = cursor.fetchone()
        return int(row[0]) if row and row[0] >= 0 else None

    @cached_property
    def counted(self) -> int:
        """How many rows there are, at most one more than the bound."""
        if not isinstance(self.object_list, QuerySet):
            return len(self.object_list)
        if (self.estimate or 0) > 2 * COUNTED_AT_MOST:
            return COUNTED_AT_MOST + 1
        return self.object_list.order_by()[: COUNTED_AT_MOST + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self.counted, COUNTED_AT_MOST)

    @property
    def count_label(self) -> str:
        """The count in words: "1,234", "10,000+", "about 1,200,000"."""
        if self.counted <= COUNTED_AT_MOST:
            return f"{self.counted:,}"
        if self.estimate:
            return f"about {self.estimate:,}"
        return f"{COUNTED_AT_MOST:,}+"


def begins_with(rows: QuerySet[_M], field: str, term: str) -> QuerySet[_M]:
    """Return the rows whose `field` begins with `term` in any case, by the index on `lower(field)`."""
    found = rows.alias(_begins=Lower(field)).filter(_begins__startswith=term.lower())
    return cast("QuerySet[_M]", found)


def contains(rows: QuerySet[_M], field: str, term: str) -> QuerySet[_M]:
    """Return the rows whose `field` has `term` anywhere, in any case, by the trigram index on `lower(field)`; a term of
    fewer than three characters has no trigram and finds nothing."""
    if len(term) < _TRIGRAM:
        return rows.none()
    return cast("QuerySet[_M]", rows.alias(_has=Lower(field)).filter(_has__contains=term.lower()))


def found_by(queryset: QuerySet[_M], term: str, lookups: Sequence[str]) -> QuerySet[_M]:
    """Return the rows of `queryset` that `term` names: by public id, or by one of `lookups`.

    A lookup is Django's ("number"), "^field" for the beginning of a field in any case, or "~field" for any part of it;
    an index must answer it. Each is asked for itself, so that each uses its own index, and for 500 rows at most.
    """
    model = queryset.model
    try:
        prefix, key = split(term)
    except MalformedId:
        keys: set[Any] = set()
        for lookup in lookups:
            found = _looked_up(model._base_manager.order_by(), lookup, term)
            keys.update(found.values_list("pk", flat=True)[:FOUND_AT_MOST])
        return queryset.filter(pk__in=keys)
    return queryset.filter(pk=key) if prefix == getattr(model, "id_prefix", "") else queryset.none()


def _looked_up(rows: QuerySet[_M], lookup: str, term: str) -> QuerySet[_M]:
    if lookup.startswith("^"):
        return begins_with(rows, lookup[1:], term)
    if lookup.startswith("~"):
        return contains(rows, lookup[1:], term)
    return rows.filter(**{lookup: term})
