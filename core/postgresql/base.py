"""The database backend (`ENGINE = "core.postgresql"`)."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

from django.db.backends.postgresql import base as postgresql
from django_prometheus.db.backends.postgresql import base as counted
from django_prometheus.db.common import ExportingCursorWrapper
from psycopg.adapt import AdaptersMap
from psycopg.postgres import types
from psycopg.pq import Format

_TIMESTAMPTZ = types["timestamptz"].oid


class DatabaseWrapper(counted.DatabaseWrapper):
    """With a pool the parameters are asked for at each checkout: the class of the cursors and the adapters are made
    once, not each time."""

    def get_connection_params(self) -> dict[str, Any]:
        parameters = dict(postgresql.DatabaseWrapper.get_connection_params(self))
        parameters["cursor_factory"] = _counting(parameters["cursor_factory"], self.alias, self.vendor)
        parameters["context"] = _adapters(parameters["context"])
        return parameters


_counting = functools.cache(ExportingCursorWrapper)


@functools.cache
def _adapters(theirs: AdaptersMap) -> AdaptersMap:
    """Return Django's adapters with a quicker loader of moments, where they are read as UTC."""
    ours = AdaptersMap(theirs)
    loader = theirs.get_loader(_TIMESTAMPTZ, Format.TEXT)
    if getattr(loader, "timezone", None) is UTC:
        ours.register_loader(_TIMESTAMPTZ, _moment_loader(loader))
    return ours


def _moment_loader(base: Any) -> Any:
    """Python's own parser is written in C and takes a fifth of the time of Django's loader (`base`), which is left what
    is not ISO 8601: infinity, and years beyond 1 to 9999."""

    class MomentLoader(base):
        def load(self, data: Any) -> datetime:
            try:
                return datetime.fromisoformat(str(data, "ascii"))
            except ValueError:
                moment: datetime = super().load(data)
                return moment

    return MomentLoader
