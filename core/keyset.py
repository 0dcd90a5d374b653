"""Going through rows in order by their sort keys: each step costs the same, however far it is from the first."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, Q


def after(order: tuple[str, ...], key: tuple[Any, ...]) -> Q:
    """Return the condition for what follows `key` in `order` (columns, "-" for descending, the last one unique). The
    bound on the first column stands alone, so that its index is entered at the right place."""
    name, value = order[0].removeprefix("-"), key[0]
    sign = "lt" if order[0].startswith("-") else "gt"
    beyond = Q(**{f"{name}__{sign}": value})
    if len(order) == 1:
        return beyond
    return Q(**{f"{name}__{sign}e": value}) & (beyond | Q(**{name: value}) & after(order[1:], key[1:]))


def key_of(row: Model, order: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the sort key of `row`. None of its columns may be null."""
    key = []
    for name in order:
        value: Any = row
        for part in name.removeprefix("-").split("__"):
            value = getattr(value, part)
        assert value is not None, f"{name} may be null and cannot order a list"
        key.append(value)
    return tuple(key)
