"""A list of the admin as somebody sees it: the very query set of its page, in steps that keep memory flat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import SuspiciousOperation
from django.db import OperationalError, connections, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict

from core.access import visible
from core.actor import Actor
from core.errors import Forbidden, InvalidInput, NotFound
from core.exports.columns import Column, columns_of
from core.keyset import after, key_of

CHUNK: Final = 1000
STATEMENT_SECONDS: Final = 60
# What an address says of the page shown, and not of which rows there are.
_OF_THE_PAGE: Final = ("p", "all", "e", "_popup", "_to_field", "_changelist_filters", "_facets")


class Site(Protocol):
    """What is asked of the site: it knows the people, this floor does not."""

    def request_as(self, actor: Actor, query: str) -> HttpRequest: ...


@dataclass(frozen=True)
class Listing:
    """One list, as `actor` sees it with the filters, search and order of `query`."""

    name: str
    query: str
    actor: Actor
    model_admin: Any
    changes: Any

    @property
    def title(self) -> str:
        return str(self.model_admin.opts.verbose_name_plural)

    @property
    def count_label(self) -> str:
        """How many rows there are, in words; long lists are estimated."""
        paginator = self.changes.paginator
        return str(getattr(paginator, "count_label", paginator.count))

    @cached_property
    def columns(self) -> list[Column]:
        listed = [name for name in self.changes.list_display if name != "action_checkbox"]
        return columns_of(self.model_admin, listed)

    @cached_property
    def rows(self) -> QuerySet[Any]:
        """The query set of the page, within what the asker may see."""
        return visible(self.actor, self.changes.queryset)

    def chosen(self, names: list[str]) -> list[Column]:
        """Return the named columns in the order of the list. Raises InvalidInput when there are none."""
        found = [column for column in self.columns if column.name in names]
        if not found:
            raise InvalidInput.at("/columns", "Choose at least one column of the list.")
        return found

    def count(self) -> int | None:
        """Return how many rows there are, None when counting takes too long."""
        try:
            with transaction.atomic():
                self._limit_statements()
                return self.rows.order_by().count()
        except OperationalError:
            return None

    def chunks(self, size: int = CHUNK) -> Iterator[list[Model]]:
        """Yield the rows in the order of the list, `size` at a time, each time by a statement of its own that begins
        behind the last row: no transaction stays open, and no row comes twice."""
        order = self._order()
        if order is None:
            yield from self._by_cursor(size)
            return
        rows, last = self.rows.order_by(*order), None
        while True:
            following = rows if last is None else rows.filter(after(order, last))
            with transaction.atomic():
                self._limit_statements()
                chunk = list(following[:size])
            if chunk:
                yield chunk
            if len(chunk) < size:
                return
            last = key_of(chunk[-1], order)

    def _order(self) -> tuple[str, ...] | None:
        """The order as column names that end in the key; None when some may be null or is no plain column."""
        meta = self.rows.model._meta
        assert meta.pk is not None
        columns = {field.name: field for field in meta.concrete_fields}
        order: list[str] = []
        for name in self.rows.query.order_by or meta.ordering:
            if not isinstance(name, str):
                return None
            sign, plain = ("-", name[1:]) if name.startswith("-") else ("", name)
            plain = meta.pk.name if plain == "pk" else plain
            if plain not in columns or columns[plain].null or columns[plain].is_relation:
                return None
            order.append(sign + plain)
            if columns[plain].unique:
                return tuple(order)
        return (*order, f"-{meta.pk.name}")

    def _by_cursor(self, size: int) -> Iterator[list[Model]]:
        chunk: list[Model] = []
        for row in self.rows.iterator(chunk_size=size):
            chunk.append(row)
            if len(chunk) == size:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _limit_statements(self) -> None:
        with connections[self.rows.db].cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(STATEMENT_SECONDS * 1000)])


def listing_of(*, actor: Actor, name: str, query: str) -> Listing:
    """Return the list of the model `name` ("billing.customer") as `actor` sees it now.

    Raises NotFound when there is no such list, Forbidden when the actor may not see it (any more), InvalidInput when it
    cannot be narrowed by `query`.
    """
    model_admin = _exportable().get(name)
    if model_admin is None:
        raise NotFound("There is no such list, or it is not made into files.")
    site: Site = admin.site  # type: ignore[assignment]  # ours: see project/apps.py
    query = narrowing(QueryDict(query))
    request = site.request_as(actor, query)
    if not model_admin.has_view_permission(request):
        raise Forbidden("You may not see this list.")
    if "\x00" in "".join(value for values in request.GET.lists() for value in values[1]):
        raise InvalidInput("NUL cannot be part of a value.")
    try:
        changes = model_admin.get_changelist_instance(request)
    except (IncorrectLookupParameters, SuspiciousOperation):
        raise InvalidInput("The list cannot be narrowed like this.") from None
    return Listing(name, query, actor, model_admin, changes)


def narrowing(query: QueryDict) -> str:
    """Return of an address's query what says which rows, and in which order."""
    kept = query.copy()
    for name in _OF_THE_PAGE:
        kept.pop(name, None)
    return kept.urlencode()


def _exportable() -> dict[str, Any]:
    found = {one.opts.label_lower: one for one in admin.site._registry.values()}
    return {name: one for name, one in found.items() if getattr(one, "is_exportable", False)}
