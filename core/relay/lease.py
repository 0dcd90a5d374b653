"""The lease by which one process leads. A row, not a session lock: a pooler may stand in between."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from django.db import connection

from core.ids import new_id

LEASE_SECONDS = 15

_TAKE = f"""
INSERT INTO core_lease (name, holder, token, expires_at)
VALUES (%(name)s, %(holder)s, 1, clock_timestamp() + interval '{LEASE_SECONDS} seconds')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = core_lease.token + 1,
    expires_at = excluded.expires_at
WHERE core_lease.expires_at < clock_timestamp()
RETURNING token
"""  # noqa: S608 - no outside value is put in
_HOLD = f"""
UPDATE core_lease SET expires_at = clock_timestamp() + interval '{LEASE_SECONDS} seconds'
WHERE name = %(name)s AND holder = %(holder)s AND token = %(token)s RETURNING token
"""  # noqa: S608 - no outside value is put in
_GIVE_UP = """
UPDATE core_lease SET expires_at = '-infinity' WHERE name = %(name)s AND holder = %(holder)s AND token = %(token)s
"""


class NotLeading(Exception):
    """Another process leads by now; nothing of this one may be written."""


@dataclass(slots=True)
class HeldLease:
    """The lease as one process sees it. `token` is 0 while it does not lead."""

    name: str
    holder: str
    token: int = 0

    @classmethod
    def for_this_process(cls, name: str) -> HeldLease:
        return cls(name, f"{socket.gethostname()[:60]}:{os.getpid()}:{new_id().hex[-8:]}")

    @property
    def _values(self) -> dict[str, str | int]:
        return {"name": self.name, "holder": self.holder, "token": self.token}

    def take(self) -> bool:
        """Renew the lease, or take it when it has run out; return whether this process leads."""
        with connection.cursor() as cursor:
            if self.token:
                cursor.execute(_HOLD, self._values)
                if cursor.fetchone() is not None:
                    return True
                self.token = 0
            cursor.execute(_TAKE, self._values)
            row = cursor.fetchone()
        self.token = row[0] if row else 0
        return bool(self.token)

    def hold(self) -> None:
        """Renew the lease inside the present transaction, and keep its row locked to the end: nobody can take over
        before what is written here has committed. Raises `NotLeading`."""
        with connection.cursor() as cursor:
            cursor.execute(_HOLD, self._values)
            if cursor.fetchone() is None:
                raise NotLeading(self.name)

    def give_up(self) -> None:
        """Let the next one in at once, at a clean stop."""
        if self.token:
            with connection.cursor() as cursor:
                cursor.execute(_GIVE_UP, self._values)
            self.token = 0
