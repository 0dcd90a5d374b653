"""Time zones by their IANA names."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

# Files beside the zones that stand for what a machine is set to: the name says no place.
_NO_PLACES = {"localtime", "posixrules", "Factory"}


@cache
def names() -> frozenset[str]:
    """Return the name of every time zone that this machine knows; looked up once, since it reads many files."""
    return frozenset(available_timezones() - _NO_PLACES)


def is_time_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone such as Europe/Berlin."""
    return name in names()
