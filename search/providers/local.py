"""The embedded provider: an inverted index inside PostgreSQL (15 or later, no superuser), ranked by Okapi BM25.

Why not `ts_rank`: it knows neither how rare a word is nor how long a document, so it ranks by frequency alone. Here the
statistics that BM25 needs are kept (`local_write`) and used (`local_find`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count

from search.documents import Document
from search.models import IndexedDocument
from search.providers import local_check, local_find, local_write
from search.providers.base import Found, Query, Stored, Written

_PIECE = 1000


class LocalProvider:
    """Fills the port `search.providers.base.Provider`."""

    name = "postgresql"

    @contextmanager
    def turn(self) -> Iterator[int]:
        """One transaction, in which the corpus is locked: rows are read after whoever wrote before has committed."""
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(local_write.TAKE_TURN)
                stamp: int = cursor.fetchone()[0]
            yield stamp

    def write(self, kind: str, documents: Sequence[Document], gone: Sequence[UUID], stamp: int) -> Written:
        with transaction.atomic(), connection.cursor() as cursor:
            return local_write.write(cursor, kind, documents, gone, stamp)

    def find(self, query: Query) -> Found:
        with transaction.atomic(), connection.cursor() as cursor:
            return local_find.find(cursor, query)

    def stored(self, kind: str, ids: Sequence[UUID]) -> Mapping[UUID, Stored]:
        rows = IndexedDocument.objects.filter(type=kind, object_id__in=list(ids))
        return {
            object_id: Stored(object_id, version, bytes(digest))
            for object_id, version, digest in rows.values_list("object_id", "version", "digest")
        }

    def walk(self, kind: str) -> Iterator[UUID]:
        rows = IndexedDocument.objects.filter(type=kind).order_by("object_id").values_list("object_id", flat=True)
        piece = list(rows[:_PIECE])
        while piece:
            yield from piece
            piece = list(rows.filter(object_id__gt=piece[-1])[:_PIECE])

    def counts(self) -> Mapping[str, int]:
        return dict(IndexedDocument.objects.order_by().values_list("type").annotate(number=Count("key")))

    def faults(self) -> Sequence[str]:
        # Nobody writes while it is looked at.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(local_write.LOCK)
            return local_check.faults(cursor)

    def mend(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            local_check.mend(cursor)
