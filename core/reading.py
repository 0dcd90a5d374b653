"""Reading rows for the API: what `list(queryset)` returns, for less.

Django makes the text of a statement anew for each request, column by column, and runs each row through a constructor
that can do more than a row of a table needs. `read` keeps the part of the text that never changes for a model and an
order (its columns and its ORDER BY, as Django's own compiler writes them), lets Django write the part that depends on
who asks and for what (FROM and WHERE, always anew, with its parameters), and fills the instances directly.

What it does not know (annotations, `select_related`, `distinct`, locks, models with constructors of their own) it
leaves to Django. `tests/core/test_reading.py` compares the two.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import connections
from django.db.models import Model, Prefetch, QuerySet, prefetch_related_objects
from django.db.models.base import ModelState
from django.db.models.query import ModelIterable
from django.db.models.signals import post_init, pre_init
from django.db.models.sql.query import Query

_M = TypeVar("_M", bound=Model)


_Prefetch: Any = Prefetch  # its stubs cannot be derived from


class Children(_Prefetch):
    """The rows behind a reverse foreign key, as a plain list in the attribute `to_attr`; the query set may choose
    columns and order, not rows. Django prefetches it as any other; `read` does so by one statement made once."""


def read(queryset: QuerySet[_M]) -> list[_M]:
    """Return the rows of `queryset`, with what it prefetches, as `list(queryset)` does."""
    text = _text_of(queryset)
    if text is None:
        return list(queryset)
    query = queryset.query
    compiler = query.get_compiler(using=queryset.db)
    try:
        where, parameters = compiler.compile(query.where)
        condition = f" WHERE {where}"
    except EmptyResultSet:
        return []
    except FullResultSet:
        condition, parameters = "", ()
    from_, joined = compiler.get_from_clause()
    limits = compiler.connection.ops.limit_offset_sql(query.low_mark, query.high_mark) if query.is_sliced else ""
    sql = f"{text.select} FROM {' '.join(from_)}{condition}{text.order} {limits}"
    rows: list[Any] = _fetch(queryset.model, text, sql, [*joined, *parameters], queryset.db)
    _prefetch(rows, queryset)
    return rows


class _Text(NamedTuple):
    """What never changes of a statement, and how its columns become attributes."""

    select: str
    order: str
    names: tuple[str, ...]
    converters: tuple[tuple[int, list[Any], Any], ...]


def _text_of(queryset: QuerySet[Any]) -> _Text | None:
    """Return the constant text for a plain query set, None for any other."""
    query = queryset.query
    is_plain = type(query) is Query and queryset._iterable_class is ModelIterable and queryset._result_cache is None
    if not is_plain or query.get_initial_alias() != queryset.model._meta.db_table:
        return None
    has_more = (
        query.annotations
        or query.distinct
        or query.combinator
        or query.select
        or query.select_related
        or query.select_for_update
        or query.group_by is not None
        or query.extra
        or query.extra_tables
        or query.extra_order_by
        or query.explain_info
        or query.where.contains_aggregate
        or query.where.contains_over_clause
        or queryset._known_related_objects  # type: ignore[attr-defined]
        or not all(isinstance(name, str) for name in query.order_by)
    )
    if has_more:
        return None
    names, is_deferring = query.deferred_loading
    order = (query.order_by, query.default_ordering, query.standard_ordering)
    model: Any = queryset.model
    return _text(model, frozenset(names), is_deferring, order, queryset.db)


@functools.lru_cache(maxsize=1024)
def _text(
    model: type[Model], names: frozenset[str], is_deferring: bool, order: tuple[tuple[str, ...], bool, bool], using: str
) -> _Text | None:
    """Let Django write the statement for all rows of `model`, and cut it at its FROM."""
    is_made_by_hand = model.__init__ is not Model.__init__ or model.from_db.__func__ is not Model.from_db.__func__  # type: ignore[attr-defined]
    if is_made_by_hand or pre_init.has_listeners(model) or post_init.has_listeners(model):
        return None
    query = Query(model)
    query.deferred_loading = (names, is_deferring)
    query.order_by, query.default_ordering, query.standard_ordering = order
    compiler = query.get_compiler(using=using)
    sql, parameters = compiler.as_sql()
    select, separator, rest = sql.partition(f" FROM {connections[using].ops.quote_name(model._meta.db_table)}")
    if parameters or not separator or len(query.alias_map) != 1 or not (rest == "" or rest.startswith(" ORDER BY ")):
        return None
    columns: list[Any] = [column for column, _, _ in compiler.select]
    converters = tuple((index, *found) for index, found in compiler.get_converters(columns).items())
    return _Text(select, rest, tuple(column.target.attname for column in columns), converters)


def _fetch(model: type[Model], text: _Text, sql: str, parameters: Sequence[Any], using: str) -> list[Any]:
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[Sequence[Any]] = cursor.fetchall()
    if text.converters:
        found = [_converted(values, text, connection) for values in found]
    names, rows = text.names, []
    for values in found:
        row = model.__new__(model)
        row.__dict__.update(zip(names, values, strict=True))
        row._state = state = ModelState()
        state.adding, state.db = False, using
        rows.append(row)
    return rows


def _converted(values: Sequence[Any], text: _Text, connection: Any) -> list[Any]:
    changed = list(values)
    for index, converters, expression in text.converters:
        for convert in converters:
            changed[index] = convert(changed[index], expression, connection)
    return changed


def _prefetch(rows: list[Any], queryset: QuerySet[Any]) -> None:
    others = []
    for lookup in queryset._prefetch_related_lookups if rows else ():  # type: ignore[attr-defined]
        if not (isinstance(lookup, Children) and _read_children(rows, lookup, queryset)):
            others.append(lookup)
    if others:
        prefetch_related_objects(rows, *others)


def _read_children(rows: list[Any], lookup: Any, queryset: QuerySet[Any]) -> bool:
    """Put the children of each row into its attribute; whether that could be done without Django's help."""
    key = getattr(queryset.model, lookup.prefetch_through).field
    children = lookup.queryset.using(queryset.db)
    text = _text_of(children)
    if text is None or children.query.where or not key.target_field.primary_key or key.attname not in text.names:
        return False
    model, quote = children.model, connections[queryset.db].ops.quote_name
    table = quote(model._meta.db_table)
    sql = f"{text.select} FROM {table} WHERE {table}.{quote(key.column)} = ANY(%s){text.order}"
    by_parent: dict[Any, list[Any]] = {row.pk: [] for row in rows}
    for child in _fetch(model, text, sql, [list(by_parent)], queryset.db):
        by_parent[getattr(child, key.attname)].append(child)
    for row in rows:
        for child in (found := by_parent[row.pk]):
            key.set_cached_value(child, row)  # its parent is known, as after a prefetch of Django's
        setattr(row, lookup.to_attr, found)
    return True
