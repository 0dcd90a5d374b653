"""What is given in one organisation is given one after the other, so that whoever comes second sees what was done."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from django.db.models import QuerySet, Value
from django.db.models.functions import Lower

from accounts.models import Organization
from core.errors import NotFound
from core.models import Entity

_E = TypeVar("_E", bound=Entity)


def lock_organization(organization_id: UUID) -> None:
    """Wait until nobody else gives or takes anything in the organisation; held until the transaction ends. Rows that
    name the organisation may still be written."""
    Organization.objects.select_for_update(of=("self",), no_key=True).get(pk=organization_id)


def still_there(row: _E) -> _E:
    """Return the row as it stands now, locked. Raises `NotFound` when somebody else was faster and deleted it."""
    try:
        return row.refreshed_for_update()
    except type(row).DoesNotExist:
        raise NotFound(f"There is no such {row._meta.verbose_name} any more.") from None


def is_taken(rows: QuerySet[_E], name: str) -> bool:
    """Whether one of `rows` has the name already, in any case: as the database compares them, which would refuse it."""
    return rows.alias(_name=Lower("name")).filter(_name=Lower(Value(name))).exists()
