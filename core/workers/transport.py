"""kombu's transport for Redis, whose channels know when their connection is gone.

Celery closes a broken connection twice: `Connection.collect` takes the client from the transport while channels that
could not be closed stay behind, then `Connection.close` closes those. A channel with messages not acknowledged wants to
give them back, and for that makes a new client from the connection's address, which is no more: kombu raises
AttributeError ('NoneType' object has no attribute 'hostname'). The same happens when a task ends and is acknowledged on
the old channel. Nobody expects that error, so the worker ended, or stood still while ending. Here it is what it means:
a connection that is lost, which every caller ignores while it closes, or answers by connecting again.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis
from redis.exceptions import ConnectionError as ConnectionLost


class Channel(redis.Channel):
    """A channel that makes no new client once its connection is closed."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise ConnectionLost("The connection of this channel is closed.")
        parameters: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        return parameters


class Transport(redis.Transport):
    """What `redis://`, `rediss://` and `redis+socket://` mean here; `project.celery` says so."""

    Channel = Channel
