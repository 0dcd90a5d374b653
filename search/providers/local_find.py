"""Asking the inverted index inside PostgreSQL: two statements, whatever is asked.

The first looks the words up in the vocabulary: as they stand, as beginnings, and when asked as parts of words
(trigrams) and misspellings (trigrams to find, Damerau-Levenshtein to judge). The second walks the postings of those
words, sums up

    score(D) = sum over words w of  idf(w) * f(w,D) * (k1 + 1) / (f(w,D) + k1 * (1 - b + b * |D| / avgdl))
    idf(w)   = ln(1 + (N - n(w) + 0.5) / (n(w) + 0.5))

which is Okapi BM25 (S. Robertson, H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, equations
3.3 and 3.15; k1 = 1.2, b = 0.75; 1 added inside the logarithm, as Lucene does, so that no word counts less than none),
keeps what the asker may find, and counts it, page and counts from one snapshot.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from search import analysis
from search.analysis import Word
from search.documents import Document
from search.providers.base import Found, Match, Query, Scope

K1: Final = 1.2
B: Final = 0.75
MILLION: Final = 1_000_000
MOST_WORDS = 24
MOST_EXPANSIONS = 1000
_MISSPELLINGS = 50
_SHORTEST_KEY = 2
_SHORTEST_PART = 3
_HIGHEST = "\U0010ffff"  # in the order of bytes every text that begins with x lies between x and x + this

# A word as it stands counts fully; what was only like it counts less. A key counts for itself.
_BEGINNING, _PART, _MISSPELT = 0.7, 0.4, 0.5
_WHOLE_KEY, _BEGINNING_OF_KEY = 1000.0, 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """One word of the vocabulary that is looked for, for the n-th word of the question."""

    text: str
    number: int
    place: int
    weight: float


def find(cursor: Any, query: Query) -> Found:
    """Answer `query`. No word and no key: nothing is found."""
    asked = question(query)
    key = analysis.key(query.text)[:300]
    wanted, average = _vocabulary(cursor, asked, query) if asked else ([], 1.0)
    has_key = len(key) >= _SHORTEST_KEY and query.needs_all
    if not query.scope.grants and not query.scope.public_types:
        return Found()
    if not wanted and not has_key:
        return Found()
    sql, parameters = _statement(query, wanted, average, len(asked), key if has_key else "")
    cursor.execute(sql, parameters)
    page, counts = (json.loads(text) if text else [] for text in cursor.fetchone())
    return _found(query, page, counts, wanted)


def question(query: Query) -> list[Word]:
    """Return the words that must be looked for: each once, without stop words where there are others."""
    every = {word.stem: word for word in analysis.words(query.text)}
    telling = [word for stem, word in every.items() if stem not in analysis.STOP_WORDS]
    return (telling or list(every.values()))[:MOST_WORDS]


# --- the vocabulary ---

_WHOLE = "SELECT %s, 1, id, text, documents FROM search_term WHERE text = %s"
_BEGINS = """(SELECT %s, 2, id, text, documents FROM search_term WHERE text > %s AND text < %s
ORDER BY documents DESC, id LIMIT 1000)"""
_HAS = """(SELECT %s, 3, id, text, documents FROM search_term WHERE text LIKE %s
ORDER BY documents DESC, id LIMIT 1000)"""
_IS_LIKE = """(SELECT %s, 4, id, text, documents FROM search_term WHERE text %% %s
ORDER BY similarity(text, %s) DESC, id LIMIT 50)"""
_CORPUS = "SELECT -1, 0, 0, total_length::text, documents FROM search_corpus"


def _vocabulary(cursor: Any, asked: list[Word], query: Query) -> tuple[list[Wanted], float]:
    """Return the words of the vocabulary that answer the question's, weighted, and the average length of documents."""
    parts, parameters = [_CORPUS], []
    for place, word in enumerate(asked):
        parts.append(_WHOLE)
        parameters += [place, word.stem]
        if query.needs_all and (place == len(asked) - 1 or query.is_relaxed):
            parts.append(_BEGINS)
            parameters += [place, word.folded, word.folded + _HIGHEST]
        if query.is_relaxed and (len(word.folded) >= _SHORTEST_PART or not word.folded.isascii()):
            parts += [_HAS, _IS_LIKE]
            parameters += [place, f"%{word.folded}%", place, word.stem, word.stem]
    cursor.execute(" UNION ALL ".join(parts), parameters)
    rows = cursor.fetchall()
    documents, total = next((each[4], int(each[3])) for each in rows if each[0] < 0)
    best: dict[tuple[int, int], Wanted] = {}
    for place, kind, number, text, frequency in rows:
        share = _share(kind, asked[place], text) if place >= 0 else 0.0
        if share > 0 and (place, number) not in best:
            best[place, number] = Wanted(text, number, place, share * _idf(documents, frequency))
    return list(best.values()), total / documents if documents and total else 1.0


def _idf(documents: int, frequency: int) -> float:
    return math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5))


def _share(kind: int, word: Word, text: str) -> float:
    """How much a word of the vocabulary counts for the question's `word`."""
    if kind == 4:
        allowed = misspellings_of(word.stem)
        distance = edits(word.stem, text, allowed) if allowed else 9
        return _MISSPELT / distance if 0 < distance <= allowed else 0.0
    return {1: 1.0, 2: _BEGINNING, 3: _PART}[kind]


def misspellings_of(word: str) -> int:
    """Return how many letters may be wrong: none up to 2, one up to 5, two beyond: `fuzziness: AUTO`
    of Elasticsearch. Numbers are not misspelt."""
    if any(each.isdigit() for each in word) or len(word) <= 2:
        return 0
    return 1 if len(word) <= 5 else 2


def edits(one: str, other: str, most: int) -> int:
    """Return the optimal string alignment distance (letters put in, left out, changed, or swapped with the next one),
    or `most + 1` when it is larger than `most`."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, row, above = row, [i], before
        for j, its in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != its))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == its:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]


# --- the postings ---


_COUNTS = """(SELECT json_agg(json_build_array(type, facets, number)) FROM (
    SELECT type, facets, count(*) AS number FROM ranked GROUP BY type, facets) AS counted)::text"""


def _statement(query: Query, wanted: list[Wanted], average: float, places: int, key: str) -> tuple[str, list[Any]]:
    """Return the one statement that finds, ranks, pages and counts, and its parameters."""
    allowed, allowed_parameters = _allowed(query.scope)
    found, parameters = _candidates(query, wanted, average, places, key)
    page, page_parameters = _page(query)
    sql = f"""
WITH {found},
ranked AS MATERIALIZED (
    SELECT document.key, document.type, document.object_id, document.facets,
        (sum(found.score) * {MILLION})::bigint AS score
    FROM found JOIN search_document AS document ON document.key = found.document
    WHERE {allowed} GROUP BY document.key)
SELECT ({page})::text, {_COUNTS if query.with_counts else "NULL"}
"""  # noqa: S608  (made of constants; what was asked travels as parameters)
    return sql, [*parameters, *allowed_parameters, *page_parameters]


def _candidates(query: Query, wanted: list[Wanted], average: float, places: int, key: str) -> tuple[str, list[Any]]:
    """Documents with their scores: by words (all of them, unless any will do), and by a key that begins so."""
    parts, parameters = [], []
    answered = {each.place for each in wanted}
    if wanted and (len(answered) == places or not query.needs_all):
        needed = (1 << places) - 1 if query.needs_all else 0
        parts.append(f"""
    SELECT posting.document, sum(wanted.weight * posting.frequency * {K1 + 1}
        / (posting.frequency + {K1} * ({1 - B} + {B} * posting.length / %s::float8))) AS score
    FROM unnest(%s::int[], %s::int[], %s::float8[]) AS wanted (term, place, weight)
    JOIN search_posting AS posting ON posting.term = wanted.term
    GROUP BY posting.document HAVING bit_or(wanted.place) & {needed} = {needed}""")  # noqa: S608
        parameters += [
            average, [each.number for each in wanted], [1 << each.place for each in wanted],
            [each.weight for each in wanted],
        ]  # fmt: skip
    if key:
        parts.append(f"""
    SELECT document, CASE WHEN bool_or(text = %s) THEN {_WHOLE_KEY} ELSE {_BEGINNING_OF_KEY} END::float8
    FROM search_key WHERE text >= %s AND text < %s GROUP BY document""")  # noqa: S608
        parameters += [key, key, key + _HIGHEST]
    nothing = "SELECT 0 AS document, 0::float8 AS score WHERE false"
    return f"found (document, score) AS ({' UNION ALL '.join(parts) or nothing})", parameters


def _allowed(scope: Scope) -> tuple[str, list[Any]]:
    """The condition for what the asker may find."""
    parts: list[str] = []
    parameters: list[Any] = []
    for grant in scope.grants:
        if grant.organizations is None:
            parts.append("document.type = ANY(%s)")
            parameters.append(sorted(grant.types))
        else:
            parts.append("(document.type = ANY(%s) AND document.organization_id = ANY(%s::uuid[]))")
            parameters += [sorted(grant.types), sorted(grant.organizations)]
    if scope.public_types:
        parts.append("(document.is_public AND document.type = ANY(%s))")
        parameters.append(sorted(scope.public_types))
    return f"({' OR '.join(parts)})", parameters


def _page(query: Query) -> tuple[str, list[Any]]:
    """The rows of the page as JSON, best first, one more than asked for."""
    conditions: list[str] = ["true"]
    parameters: list[Any] = []
    if query.types is not None:
        conditions.append("ranked.type = ANY(%s)")
        parameters.append(sorted(query.types))
    after, rows = query.after, "ranked"
    is_backward = after is not None and after.is_backward
    if after is not None:
        conditions.append(f"(ranked.score, ranked.object_id, ranked.type) {'>' if is_backward else '<'} (%s, %s, %s)")
        parameters += [after.score, after.id, after.type]
    if query.each is not None:
        rows = """(SELECT *, row_number() OVER (PARTITION BY type ORDER BY score DESC, object_id DESC) AS place
            FROM ranked) AS ranked"""
        conditions.append("ranked.place <= %s")
        parameters.append(query.each)
    direction = "ASC" if is_backward else "DESC"
    limit = "" if query.each is not None else f"LIMIT {query.limit + 1:d}"
    columns = "version, title, subtitle, body, url, keys, organization_id, is_public"
    sql = f"""SELECT json_agg(best ORDER BY score DESC, object_id DESC, type DESC) FROM (
    SELECT top.*, {columns} FROM (
        SELECT ranked.key, ranked.type, ranked.object_id, ranked.facets, ranked.score FROM {rows}
        WHERE {" AND ".join(conditions)}
        ORDER BY ranked.score {direction}, ranked.object_id {direction}, ranked.type {direction} {limit}
    ) AS top JOIN search_document USING (key)) AS best"""  # noqa: S608
    return sql, parameters


# --- the answer ---


def _found(query: Query, page: list[Any], counts: list[Any], wanted: list[Wanted]) -> Found:
    types: Counter[str] = Counter()
    facets: dict[str, Counter[str]] = {}
    for kind, values, number in counts:
        types[kind] += number
        if query.types is None or kind in query.types:
            for name, value in values.items():
                facets.setdefault(name, Counter())[value] += number
    has_more = query.each is None and len(page) > query.limit
    if has_more:
        # The row too many lies at the far end of the direction.
        page = page[1:] if query.after is not None and query.after.is_backward else page[:-1]
    chosen = types if query.types is None else {kind: number for kind, number in types.items() if kind in query.types}
    return Found(
        matches=[Match(row["type"], document_of(row), row["score"]) for row in page],
        has_more=has_more,
        total=sum(chosen.values()),
        types=dict(types),
        facets=facets,
        words=_weights(wanted),
    )


def _weights(wanted: Iterable[Wanted]) -> Mapping[str, float]:
    weights: dict[str, float] = {}
    for each in wanted:
        weights[each.text] = max(weights.get(each.text, 0.0), each.weight)
    return weights


def document_of(row: Mapping[str, Any]) -> Document:
    """Return a stored row as the document that it was made of."""
    return Document(
        id=UUID(row["object_id"]),
        organization_id=UUID(row["organization_id"]) if row["organization_id"] else None,
        keys=tuple(row["keys"]),
        **{name: row[name] for name in ("title", "version", "subtitle", "body", "facets", "is_public", "url")},
    )
