"""Lists of the permission engine over our own rows: what a row says by itself is stored in no tuple.

A check brings along to which organisation the one row belongs that it asks about. A list cannot bring all rows along:
those of the organisations that lead to the relation are added to what the engine lists.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from accounts.permissions.engine import Engine
from accounts.permissions.faults import Code, Refused
from accounts.permissions.known import given_about
from accounts.permissions.names import entity_of
from accounts.permissions.pages import Page, id_of
from accounts.permissions.product import ORGANIZATION, from_organization, shipped
from accounts.permissions.tuples import Tuple
from core.models import Entity


def page_of_objects(
    engine: Engine,
    subject: str,
    relation: str,
    of_type: str,
    *,
    given: Collection[Tuple] = (),
    context: Mapping[str, Any] = {},
    limit: int = 100,
    after: str | None = None,
) -> Page:
    """Return what `Engine.page_of_objects` does, with the rows to which `relation` comes from their organisation. Three
    queries more at most, however many rows. Raises Refused besides (2000) for a relation by which rows cannot be
    listed: `and` or `but not` stands over what comes from there."""
    own = given_about(engine.model, (subject, subject))
    brought: dict[str, Any] = {"given": [*given, *own], "context": context}
    page = engine.page_of_objects(subject, relation, of_type, **brought, limit=limit, after=after)
    rows = _rows(of_type)
    if rows is None:
        return page
    try:
        leading = from_organization(engine.model, of_type, relation)
    except LookupError as error:
        raise Refused(Code.VALIDATION, str(error), member="relation") from error
    found = engine.objects_by_relation(subject, [(ORGANIZATION, one) for one in sorted(leading)], **brought)
    places = {place.partition(":")[2] for listed in found.values() for place in listed}
    ids = _ids_behind(rows, places, id_of(after), limit + 1) if places else []
    # Ids of rows are UUIDs, which every collation orders alike.
    items = sorted({*(item.partition(":")[2] for item in page.items), *ids})
    is_complete = page.is_complete and len(items) <= limit
    return Page(
        tuple(f"{of_type}:{one}" for one in items[:limit]), None if is_complete else items[:limit][-1], is_complete
    )


def _rows(kind: str) -> QuerySet[Entity] | None:
    """The table of a type whose rows say to which organisation they belong, None for any other."""
    entity = entity_of(kind)
    if entity is None or entity.organization_path is None or kind == ORGANIZATION:
        return None
    return entity._default_manager.all() if shipped().relation(kind, ORGANIZATION) is not None else None


def _ids_behind(rows: QuerySet[Entity], places: Collection[str], after: str, limit: int) -> list[str]:
    """The ids of the first rows of some organisations behind an id."""
    known = [place for place in map(_uuid, places) if place is not None]
    rows = rows.filter(**{f"{rows.model.organization_path}__in": known})
    number = _uuid(after)
    if number is not None:
        rows = rows.filter(pk__gt=number)
    elif after:
        rows = rows.alias(text=Cast("pk", TextField())).filter(text__gt=after)
    return [str(key) for key in rows.order_by("pk").values_list("pk", flat=True)[:limit]]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
