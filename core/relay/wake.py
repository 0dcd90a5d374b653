"""Waking the relay: a message through Valkey makes it quick; its poll each second makes it certain."""

from __future__ import annotations

from django.db import connection, transaction

from core import redis

CHANNEL = "countinghouse:relay"


def wake() -> None:
    """Tell the relay that there is something to do. Best effort: never raises, waits for no server that is down."""
    try:
        redis.ask(lambda server: server.publish(CHANNEL, b"1"))
    except redis.Unavailable:
        return


def wake_after_commit() -> None:
    """Wake the relay once this transaction has committed; once for a transaction, however often asked."""
    if not any(entry[1] is wake for entry in connection.run_on_commit):
        transaction.on_commit(wake)
