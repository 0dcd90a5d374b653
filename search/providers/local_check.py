"""Is the inverted index whole? Its tables say one thing five times; whoever writes past it breaks that."""

from __future__ import annotations

from typing import Any

from search.providers.local_write import LOCK

_COUNTED = "SELECT term, count(*) AS number FROM search_posting GROUP BY term"
_CHECKS = {
    "entries of no document": """
SELECT count(*) FROM search_posting AS posting
WHERE NOT EXISTS (SELECT FROM search_document AS document WHERE document.key = posting.document)""",
    "keys of no document": """
SELECT count(*) FROM search_key AS entry
WHERE NOT EXISTS (SELECT FROM search_document AS document WHERE document.key = entry.document)""",
    "documents without all their entries": """
SELECT count(*) FROM search_document AS document LEFT JOIN
    (SELECT document AS key, count(*) AS number FROM search_posting GROUP BY document) AS counted USING (key)
WHERE coalesce(counted.number, 0) <> cardinality(document.terms)""",
    "words counted wrongly": f"""
SELECT count(*) FROM search_term AS term FULL JOIN ({_COUNTED}) AS counted ON counted.term = term.id
WHERE coalesce(term.documents, -1) <> coalesce(counted.number, 0)""",  # noqa: S608
    "totals counted wrongly": """
SELECT count(*) FROM search_corpus
WHERE (documents, total_length) <> (SELECT count(*), coalesce(sum(length), 0) FROM search_document)""",
}
# In this order: what belongs to nobody goes, the counts follow what is left, and what lacks entries is no true build.
_MENDS = (
    """DELETE FROM search_posting AS posting
WHERE NOT EXISTS (SELECT FROM search_document AS document WHERE document.key = posting.document)""",
    """DELETE FROM search_key AS entry
WHERE NOT EXISTS (SELECT FROM search_document AS document WHERE document.key = entry.document)""",
    """UPDATE search_document AS document SET digest = '', terms = counted.terms
FROM (SELECT key, coalesce(array_agg(term) FILTER (WHERE term IS NOT NULL), '{}') AS terms
      FROM search_document LEFT JOIN search_posting ON search_posting.document = key GROUP BY key) AS counted
WHERE counted.key = document.key AND cardinality(document.terms) <> cardinality(counted.terms)""",
    f"""UPDATE search_term AS term SET documents = counted.number FROM ({_COUNTED}) AS counted
WHERE counted.term = term.id AND counted.number <> term.documents""",  # noqa: S608
    "DELETE FROM search_term WHERE NOT EXISTS (SELECT FROM search_posting WHERE term = id)",
    """UPDATE search_corpus SET (documents, total_length) =
    (SELECT count(*), coalesce(sum(length), 0) FROM search_document)""",
)


def faults(cursor: Any) -> list[str]:
    """Return what is broken, with how often, in words; empty when the index is whole."""
    found = []
    for text, sql in _CHECKS.items():
        cursor.execute(sql)
        number = cursor.fetchone()[0]
        if number:
            found.append(f"{number:,} {text}")
    return found


def mend(cursor: Any) -> None:
    """Make it whole again, in the open transaction, as far as its own tables tell. Documents that lack entries are
    stale from then on, and built anew by whoever repairs drift."""
    cursor.execute(LOCK)
    for sql in _MENDS:
        cursor.execute(sql)
