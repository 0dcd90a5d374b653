"""What `manage.py doctor` looks at: what each provider is, and whether it is well."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from audit.selectors import sealing
from core import clock, health
from core.health import Status

CLOCK_SECONDS = 2.0
HOLD_SECONDS = 60.0
FREE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Line:
    """One thing looked at: `kind` is the provider (`embedded`, `given`, empty), `detail` is for people."""

    name: str
    status: Status
    detail: str
    kind: str = ""
    milliseconds: float | None = None
    data: dict[str, Any] = field(default_factory=dict)

    def as_payload(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": str(self.status),
            "kind": self.kind,
            "detail": self.detail,
            "milliseconds": self.milliseconds,
            **({"data": self.data} if self.data else {}),
        }


def examine() -> list[Line]:
    """Return all findings. What needs the database is left out when that does not answer."""
    lines = list(_probes())
    lines.append(_disk())
    if next((line.status for line in lines if line.name == "database"), Status.OK) is not Status.FAILED:
        lines += [_clock(), _roles(), _holders()]
    return lines


def _probes() -> Iterator[Line]:
    for name, found in health.ask(max_age=0).items():
        inner = {key: value for key, value in found.inner.items() if value is not None}
        facts = ", ".join(f"{key} {value}" for key, value in inner.items() if isinstance(value, str | int | float))
        detail = ". ".join(part for part in (found.detail.rstrip("."), facts) if part)
        yield Line(name, found.status, detail, _kind(name), found.milliseconds, inner)


def _kind(name: str) -> str:
    """Say which provider answers behind a probe."""
    urls = {"database": settings.DATABASE_URL, "cache": settings.REDIS_URL, "broker": settings.CELERY_BROKER_URL}
    if name not in urls:
        return ""
    return "embedded" if "/countinghouse-" in urls[name] else "given"


def _disk() -> Line:
    free = shutil.disk_usage(settings.BASE_DIR).free
    status = Status.OK if free >= FREE_BYTES else Status.WARNING
    return Line("disk", status, f"{free / 1e9:.1f} GB free", data={"free_bytes": free})


def _clock() -> Line:
    with connection.cursor() as cursor:
        before = clock.now()
        cursor.execute("SELECT clock_timestamp()")
        theirs: datetime = cursor.fetchone()[0]
        after = clock.now()
    seconds = abs((theirs - (before + (after - before) / 2)).total_seconds())
    status = Status.OK if seconds <= CLOCK_SECONDS else Status.WARNING
    return Line("clock", status, f"{seconds:.3f} s from the database's", data={"seconds": round(seconds, 3)})


def _roles() -> Line:
    """The product must not own the tables: an owner may rewrite what is append-only."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, rolsuper, (SELECT count(*) FROM pg_class c WHERE relkind IN ('r', 'p')"
            " AND relnamespace = current_schema()::regnamespace AND pg_has_role(current_user, c.relowner, 'usage'))"
            " FROM pg_roles WHERE rolname = current_user"
        )
        role, is_superuser, owned = cursor.fetchone()
    if is_superuser:
        return Line("roles", Status.WARNING, f"The product runs as the superuser {role}.")
    if owned:
        return Line("roles", Status.WARNING, f"{role} is owner and product in one: set MIGRATION_DATABASE_URL.")
    return Line("roles", Status.OK, f"The product is {role}, which owns no table.")


def _holders() -> Line:
    """Who keeps committed events from being sealed: a transaction that writes and does not end."""
    found = sealing.holders()
    if not found:
        return Line("sealing", Status.OK, "Nobody holds sealing back.")
    longest = found[0]
    detail = f"{longest.kind} {longest.name} ({longest.application or 'unnamed'}, {longest.state}) "
    detail += f"holds sealing back since {longest.seconds:.0f} s"
    status = Status.WARNING if longest.seconds > HOLD_SECONDS else Status.OK
    return Line("sealing", status, detail, data={"holders": len(found), "seconds": round(longest.seconds, 1)})
