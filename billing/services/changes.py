"""What changed in a row, as events tell it."""

from __future__ import annotations

from typing import Any

from django.db.models import Model


class Watch:
    """Remembers fields of a row; `before` and `after` then hold those that differ."""

    def __init__(self, row: Model, *fields: str) -> None:
        self._row = row
        self._old = {field: getattr(row, field) for field in fields}

    @property
    def fields(self) -> list[str]:
        """The names of what changed, in the order in which they were given."""
        return [field for field, old in self._old.items() if getattr(self._row, field) != old]

    @property
    def before(self) -> dict[str, Any]:
        """The old values of what changed."""
        return {field: self._old[field] for field in self.fields}

    @property
    def after(self) -> dict[str, Any]:
        """The new values of what changed."""
        return {field: getattr(self._row, field) for field in self.fields}


def facts(row: Model, *fields: str) -> dict[str, Any]:
    """Return the named fields of a new row."""
    return {field: getattr(row, field) for field in fields}
