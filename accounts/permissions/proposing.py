"""An engine as it would be, with nothing written: another model, tuples added and removed.

What is added is brought along with each question. What is removed is deleted in a transaction that is rolled back, and
brought along for whoever asks how it was before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from django.db import OperationalError, connection, transaction

from accounts.permissions import reading, writes
from accounts.permissions.engine import Engine, save_model
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language.model import Model
from accounts.permissions.models import PermissionStore
from accounts.permissions.tuples import Tuple


@contextmanager
def proposed(
    engine: Engine, *, model: Model | None = None, added: Iterable[Tuple] = (), removed: Iterable[Tuple] = ()
) -> Iterator[tuple[Engine, Engine]]:
    """Give an engine that answers as before and one that answers as proposed, within a transaction that is rolled
    back. Others wait for it only where they write the very tuples that are removed."""
    new, gone = tuple(added), tuple(removed)
    with transaction.atomic():
        try:
            after = engine
            if model is not None:
                after = save_model(PermissionStore.objects.get(pk=engine.store_id), model)
            for one in new:
                writes.check(after.model, one)
            was = tuple(filter(engine.allows, _taken_out(engine.store_id, (*gone, *new)) if gone or new else ()))
            before = replace(engine, always_given=(*engine.always_given, *was))
            yield before, replace(after, always_given=(*filter(after.allows, engine.always_given), *new))
        finally:
            transaction.set_rollback(True)


def _taken_out(store_id: int, wanted: Sequence[Tuple]) -> list[Tuple]:
    """Delete tuples and return those that were there. Raises Refused when somebody else is writing one of them."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '1s'")  # until the savepoint is rolled back
    try:
        found = reading.stored(store_id, {one.key for one in wanted})
        writes.delete(store_id, found, "ignore")
    except OperationalError as error:
        raise Refused(Code.WRITE_FAILED, "One of these tuples is being written right now: ask again.") from error
    return found
