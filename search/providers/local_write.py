"""Writing the inverted index inside PostgreSQL: a fixed number of statements for any number of documents.

Whoever writes holds the one row of `search_corpus`, so statistics never race, and what BM25 reads of them (documents,
their lengths, in how many documents a word stands) is exact in every committed state.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from search import analysis
from search.documents import Document
from search.providers.base import Written

_MOST = 32767  # of a smallint
LONGEST_KEY = 320

LOCK = "SELECT stamp FROM search_corpus WHERE id = 1 FOR UPDATE"
TAKE_TURN = "UPDATE search_corpus SET stamp = stamp + 1 WHERE id = 1 RETURNING stamp"
_KNOWN = """
SELECT key, object_id, digest, length, terms FROM search_document WHERE type = %s AND object_id = ANY(%s::uuid[])
"""
_NEW_WORDS = """
INSERT INTO search_term (text, documents)
SELECT word, 0 FROM unnest(%s::text[]) AS word WHERE NOT EXISTS (SELECT FROM search_term WHERE text = word)
"""
_WORDS = "SELECT text, id FROM search_term WHERE text = ANY(%s::text[])"
_DROP_POSTINGS = """
DELETE FROM search_posting AS posting
USING (SELECT key, unnest(terms) AS term FROM search_document WHERE key = ANY(%s::int[])) AS old
WHERE posting.term = old.term AND posting.document = old.key
"""
_DROP_KEYS = "DELETE FROM search_key WHERE document = ANY(%s::int[])"
_DROP_DOCUMENTS = "DELETE FROM search_document WHERE key = ANY(%s::int[])"
_ROWS = """
FROM jsonb_to_recordset(%s::jsonb) AS new (
    key int, object_id uuid, organization_id uuid, is_public boolean, version bigint, title text, subtitle text,
    body text, url text, keys text[], facets jsonb, length smallint, terms int[], digest text)
"""
_CHANGE = f"""
UPDATE search_document AS old SET organization_id = new.organization_id, is_public = new.is_public,
    version = new.version, title = new.title, subtitle = new.subtitle, body = new.body, url = new.url, keys = new.keys,
    facets = new.facets, length = new.length, terms = new.terms, digest = decode(new.digest, 'hex'), stamp = %s
{_ROWS} WHERE old.key = new.key
"""  # noqa: S608  (constants of this module)
_ADD = f"""
INSERT INTO search_document (type, object_id, organization_id, is_public, version, title, subtitle, body, url, keys,
    facets, length, terms, digest, stamp)
SELECT %s, object_id, organization_id, is_public, version, title, subtitle, body, url, keys, facets, length, terms,
    decode(digest, 'hex'), %s {_ROWS} RETURNING object_id, key
"""
_ADD_POSTINGS = """
INSERT INTO search_posting (term, document, frequency, length)
SELECT * FROM unnest(%s::int[], %s::int[], %s::smallint[], %s::smallint[])
"""
_ADD_KEYS = "INSERT INTO search_key (text, document) SELECT * FROM unnest(%s::text[], %s::int[])"
_COUNT_WORDS = """
UPDATE search_term AS term SET documents = term.documents + change.by
FROM unnest(%s::int[], %s::int[]) AS change (term, by) WHERE term.id = change.term
"""
# A word that nobody uses any more may be the name of somebody who is gone.
_DROP_WORDS = "DELETE FROM search_term WHERE id = ANY(%s::int[]) AND documents = 0"
_COUNT = """
UPDATE search_corpus SET documents = documents + %s, total_length = total_length + %s WHERE id = 1
"""


@dataclass(slots=True)
class _Known:
    key: int
    digest: bytes
    length: int
    terms: list[int]


@dataclass(slots=True)
class _New:
    document: Document
    words: Counter[str]
    key: int | None = None

    @property
    def length(self) -> int:
        return min(self.words.total(), _MOST)


def write(cursor: Any, kind: str, documents: Sequence[Document], gone: Sequence[UUID], stamp: int) -> Written:
    """Store and remove in the open transaction. Nothing is done for a build that is not the latest: another one began
    after it, and may have read newer rows."""
    cursor.execute(LOCK)
    if cursor.fetchone()[0] != stamp:
        return Written()
    wanted = {document.id: document for document in documents}
    known = _known(cursor, kind, [*wanted, *gone])
    changed = [
        _New(document, count_words(document), key=known[document.id].key if document.id in known else None)
        for document in wanted.values()
        if document.id not in known or known[document.id].digest != document.digest
    ]
    removed = [known[each] for each in dict.fromkeys(gone) if each in known and each not in wanted]
    replaced = [known[new.document.id] for new in changed if new.key is not None]
    if not changed and not removed:
        return Written()
    numbers = _numbers(cursor, {word for new in changed for word in new.words})
    _forget(cursor, [*removed, *replaced], removed)
    _store(cursor, kind, changed, numbers, stamp)
    _count(cursor, changed, numbers, [*removed, *replaced], difference=len(changed) - len(replaced) - len(removed))
    return Written(len(changed), len(removed))


def count_words(document: Document) -> Counter[str]:
    """Return how often each word stands in a document: title, subtitle and body are one bag of words."""
    return Counter(
        word.stem for text in (document.title, document.subtitle, document.body) for word in analysis.words(text)
    )


def _known(cursor: Any, kind: str, ids: Iterable[UUID]) -> dict[UUID, _Known]:
    cursor.execute(_KNOWN, [kind, list(ids)])
    return {
        object_id: _Known(key, bytes(digest), length, terms)
        for key, object_id, digest, length, terms in cursor.fetchall()
    }


def _numbers(cursor: Any, words: set[str]) -> dict[str, int]:
    """Return the numbers of the words; new ones get theirs."""
    if not words:
        return {}
    ordered = sorted(words)
    cursor.execute(_NEW_WORDS, [ordered])
    cursor.execute(_WORDS, [ordered])
    return dict(cursor.fetchall())


def _forget(cursor: Any, old: list[_Known], removed: list[_Known]) -> None:
    if not old:
        return
    keys = [each.key for each in old]
    cursor.execute(_DROP_POSTINGS, [keys])
    cursor.execute(_DROP_KEYS, [keys])
    if removed:
        cursor.execute(_DROP_DOCUMENTS, [[each.key for each in removed]])


def _store(cursor: Any, kind: str, changed: list[_New], numbers: dict[str, int], stamp: int) -> None:
    present = [new for new in changed if new.key is not None]
    fresh = {new.document.id: new for new in changed if new.key is None}
    if present:
        cursor.execute(_CHANGE, [stamp, json.dumps([_row(new, numbers) for new in present])])
    if fresh:
        cursor.execute(_ADD, [kind, stamp, json.dumps([_row(new, numbers) for new in fresh.values()])])
        for object_id, key in cursor.fetchall():
            fresh[object_id].key = key
    postings = [
        (numbers[word], new.key, min(count, _MOST), new.length) for new in changed for word, count in new.words.items()
    ]
    if postings:
        cursor.execute(_ADD_POSTINGS, [list(column) for column in zip(*postings, strict=True)])
    keys = [(text, new.key) for new in changed for text in keys_of(new.document)]
    if keys:
        cursor.execute(_ADD_KEYS, [list(column) for column in zip(*keys, strict=True)])


def keys_of(document: Document) -> list[str]:
    """Return the keys of a document in the form in which they are compared."""
    found = (analysis.key(text.replace("\x00", ""))[:LONGEST_KEY] for text in document.keys)
    return [text for text in dict.fromkeys(found) if text]


def _row(new: _New, numbers: dict[str, int]) -> dict[str, Any]:
    document = new.document
    return {
        "key": new.key,
        "object_id": str(document.id),
        "organization_id": str(document.organization_id) if document.organization_id else None,
        "is_public": document.is_public,
        "version": document.version,
        "title": document.title,
        "subtitle": document.subtitle,
        "body": document.body,
        "url": document.url,
        "keys": list(document.keys),
        "facets": dict(document.facets),
        "length": new.length,
        "terms": sorted(numbers[word] for word in new.words),
        "digest": document.digest.hex(),
    }


def _count(cursor: Any, changed: list[_New], numbers: dict[str, int], old: list[_Known], difference: int) -> None:
    """Carry the changes into the statistics."""
    by: Counter[int] = Counter(numbers[word] for new in changed for word in new.words)
    by.subtract(Counter(term for each in old for term in each.terms))
    moved = sorted((term, change) for term, change in by.items() if change)
    if moved:
        terms, changes = ([each[0] for each in moved], [each[1] for each in moved])
        cursor.execute(_COUNT_WORDS, [terms, changes])
        fewer = [term for term, change in moved if change < 0]
        if fewer:
            cursor.execute(_DROP_WORDS, [fewer])
    length = sum(new.length for new in changed) - sum(each.length for each in old)
    cursor.execute(_COUNT, [difference, length])
