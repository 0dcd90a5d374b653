"""Asking the inverted index inside PostgreSQL: two statements, whatever is asked.

The first looks the words up in the vocabulary: as they stand, as beginnings, and when asked as parts of words
(trigrams) and misspellings (`search.misspellings`). The second walks the postings of those
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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from search import analysis, misspellings
from search.analysis import Word
from search.documents import Document
from search.providers.base import Found, Match, Query, Scope

K1: Final = 1.2
B: Final = 0.75
MILLION: Final = 1_000_000
MOST_WORDS = 24
MOST_EXPANSIONS = 1000
_SHORTEST_KEY = 2
_LONGEST_KEY = 300
_PROBE = 3  # looking a word up in one document costs as much as reading so many entries in a row
_SHORTEST_PART = 3
_HIGHEST = "\U0010ffff"  # in the order of bytes every text that begins with x lies between x and x + this

# A word as it stands counts fully; what was only like it counts less. A key counts for itself.
_BEGINNING, _PART, _MISSPELT = 0.7, 0.4, 0.5
_WHOLE_KEY, _BEGINNING_OF_KEY = 1000.0, 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """One word of the vocabulary that is looked for, for the n-th word of the question; it has that many entries."""

    text: str
    number: int
    documents: int
    place: int
    weight: float


def find(cursor: Any, query: Query) -> Found:
    """Answer `query` in the open transaction. No word and no key: nothing is found."""
    if not query.scope.grants and not query.scope.public_types:
        return Found()
    asked = question(query)
    key = analysis.key(query.text)[:_LONGEST_KEY] if query.needs_all else ""
    words = _vocabulary(cursor, asked, key if len(key) >= _SHORTEST_KEY else "", query)
    has_all = len({each.place for each in words.wanted}) == len(asked)
    if not has_all and query.needs_all:
        words = replace(words, wanted=[])
    if not words.wanted and not words.has_keys:
        return Found()
    sql, parameters = _statement(query, words, (1 << len(asked)) - 1, key if words.has_keys else "")
    cursor.execute(sql, parameters)
    page, counts = (json.loads(text) if text else [] for text in cursor.fetchone())
    return _found(query, page, counts, words.wanted)


def question(query: Query) -> list[Word]:
    """Return the words that must be looked for: each once, without stop words where there are others."""
    every: dict[str, Word] = {}
    for word in analysis.words(query.text):
        every.pop(word.stem, None)  # the last one typed stays the last
        every[word.stem] = word
    telling = [word for stem, word in every.items() if stem not in analysis.STOP_WORDS]
    return (telling or list(every.values()))[:MOST_WORDS]


# --- the vocabulary ---

_WHOLE = "SELECT %s, 1, id, text, documents FROM search_term WHERE text = %s"
_BEGINS = """(SELECT %s, 2, id, text, documents FROM search_term WHERE text > %s AND text < %s
ORDER BY documents DESC, id LIMIT %s)"""
_HAS = """(SELECT %s, 3, id, text, documents FROM search_term WHERE text LIKE %s
ORDER BY documents DESC, id LIMIT %s)"""
_IS_ONE_OF = "SELECT %s, 4, id, text, documents FROM search_term WHERE text = ANY(%s::text[])"
_IS_LIKE = """(SELECT %s, 4, id, text, documents FROM search_term WHERE text %% %s
ORDER BY similarity(text, %s) DESC, id LIMIT 50)"""
# Sums over as many as all documents stay in memory; for this transaction only.
_CORPUS = """SELECT -1, 0, length(set_config('work_mem', '64MB', true)), total_length::text, documents
FROM search_corpus"""
_ALLOWED = "SELECT -2, 0, 0, '', count(*) FROM search_document AS document WHERE "
_KEYS = "SELECT -3, 0, 0, '', 1 WHERE EXISTS (SELECT FROM search_key WHERE text >= %s AND text < %s)"


@dataclass(frozen=True, slots=True)
class _Words:
    """What is looked for; the average length of documents; how many documents the asker may find (None: it is not
    bounded); whether any key begins like the question."""

    wanted: list[Wanted]
    average: float
    allowed: int | None
    has_keys: bool

    @property
    def entries(self) -> int:
        """How many entries of the index all wanted words have."""
        return sum(each.documents for each in self.wanted)


def _vocabulary(cursor: Any, asked: list[Word], key: str, query: Query) -> _Words:
    """Look the question's words up, weighted, with what else must be known to rank."""
    parts = [_CORPUS]
    parameters: list[Any] = []
    is_bounded = all(grant.organizations is not None for grant in query.scope.grants)
    if is_bounded:
        condition, parameters = _allowed(query.scope)
        parts.append(_ALLOWED + condition)
    if key:
        parts.append(_KEYS)
        parameters += [key, key + _HIGHEST]
    for place, word in enumerate(asked):
        parts.append(_WHOLE)
        parameters += [place, word.stem]
        for part, given in _looser(query, asked, place):
            parts.append(part)
            parameters += given
    cursor.execute(" UNION ALL ".join(parts), parameters)
    rows = cursor.fetchall()
    documents, total = next((each[4], int(each[3])) for each in rows if each[0] == -1)
    best: dict[tuple[int, int], Wanted] = {}
    for place, kind, number, text, frequency in sorted(rows):  # the best kind of likeness first
        share = _share(kind, asked[place], text) if place >= 0 else 0.0
        if share > 0 and (place, number) not in best:
            best[place, number] = Wanted(text, number, frequency, place, share * _idf(documents, frequency))
    allowed = next((each[4] for each in rows if each[0] == -2), None)
    average = total / documents if documents and total else 1.0
    return _Words(list(best.values()), average, allowed, any(each[0] == -3 for each in rows))


def _looser(query: Query, asked: list[Word], place: int) -> Iterator[tuple[str, list[Any]]]:
    """What else than the word as it stands answers the question's: what begins with it, has it as a part, or is it in
    another spelling. The more words a question has, the fewer each may stand for: its price has a bound."""
    word, is_last = asked[place], place == len(asked) - 1
    most = MOST_EXPANSIONS // len(asked)
    if query.needs_all and (is_last or (query.is_relaxed and len(word.folded) > 1)):
        yield _BEGINS, [place, word.folded, word.folded + _HIGHEST, most]
    if not query.is_relaxed:
        return
    if len(word.folded) >= _SHORTEST_PART or not word.folded.isascii():
        yield _HAS, [place, f"%{word.folded}%", most]
    allowed = misspellings.allowed(word.stem)
    if allowed == 1:
        yield _IS_ONE_OF, [place, misspellings.variants(word.stem)]
    elif allowed:
        yield _IS_LIKE, [place, word.stem, word.stem]


def _idf(documents: int, frequency: int) -> float:
    return math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5))


def _share(kind: int, word: Word, text: str) -> float:
    """How much a word of the vocabulary counts for the question's `word`."""
    if kind == 4:
        allowed = misspellings.allowed(word.stem)
        distance = misspellings.edits(word.stem, text, allowed)
        return _MISSPELT / distance if 0 < distance <= allowed else 0.0
    return {1: 1.0, 2: _BEGINNING, 3: _PART}[kind]


# --- the postings ---


_COUNTS = """(SELECT json_agg(json_build_array(type, facets, number)) FROM (
    SELECT type, facets, count(*) AS number FROM ranked GROUP BY type, facets) AS counted)::text"""


def _statement(query: Query, words: _Words, needed: int, key: str) -> tuple[str, list[Any]]:
    """Return the one statement that finds, ranks, pages and counts, and its parameters."""
    allowed, allowed_parameters = _allowed(query.scope)
    found, parameters = _candidates(query, words, needed, key)
    page, page_parameters = _page(query)
    having = f"HAVING bit_or(place) & {needed} = {needed}" if query.needs_all and needed > 1 else ""
    sql = f"""
WITH found (document, score) AS (
    SELECT document, sum(score) FROM ({found}) AS entry
    GROUP BY document {having}),
ranked AS {"" if query.each is None else "MATERIALIZED"} (
    SELECT document.key, document.type, document.object_id, (found.score * {MILLION})::bigint AS score
        {", document.facets" if query.with_counts else ""}
    FROM found JOIN search_document AS document ON document.key = found.document WHERE {allowed})
SELECT ({page})::text, {_COUNTS if query.with_counts else "NULL"}
"""  # noqa: S608  (made of constants; what was asked travels as parameters)
    return sql, [*parameters, *allowed_parameters, *page_parameters]


def _candidates(query: Query, words: _Words, needed: int, key: str) -> tuple[str, list[Any]]:
    """What each entry of the index adds to a document's score, and which word of the question it answers: entries of
    the words, and of keys that begin like the whole question, which answer all of it."""
    parts: list[str] = []
    parameters: list[Any] = []
    if words.wanted:
        numbers, places, weights = _columns(words.wanted)
        condition, more = _only_where_possible(query, words)
        # No join: with the list as a constant the planner knows how many entries there are. In a rising list the bucket
        # of a number that stands in it is its place.
        parts.append(f"""
    SELECT document, (%s::int[])[bucket] AS place, (%s::float8[])[bucket] * frequency * {K1 + 1}
        / (frequency + {K1} * ({1 - B} + {B} * length / %s::float8)) AS score
    FROM (SELECT *, width_bucket(term, %s::int[]) AS bucket FROM search_posting
        WHERE term = ANY(%s::int[]){condition}) AS posting""")  # noqa: S608
        parameters += [places, weights, words.average, numbers, numbers, *more]
    if key:
        parts.append(f"""
    SELECT document, {needed} AS place,
        CASE WHEN bool_or(text = %s) THEN {_WHOLE_KEY} ELSE {_BEGINNING_OF_KEY} END::float8 AS score
    FROM search_key WHERE text >= %s AND text < %s GROUP BY document""")  # noqa: S608
        parameters += [key, key, key + _HIGHEST]
    return " UNION ALL ".join(parts), parameters


def _columns(wanted: list[Wanted]) -> tuple[list[int], list[int], list[float]]:
    """The words' numbers, rising and each once; which places of the question each answers (bits); what each counts."""
    places: dict[int, int] = {}
    weights: dict[int, float] = {}
    for each in wanted:
        places[each.number] = places.get(each.number, 0) | 1 << each.place
        weights[each.number] = weights.get(each.number, 0.0) + each.weight
    numbers = sorted(places)
    return numbers, [places[number] for number in numbers], [weights[number] for number in numbers]


def _only_where_possible(query: Query, words: _Words) -> tuple[str, list[Any]]:
    """Where few documents come into question beside the entries of all words, look the words up in these alone: those
    that the asker may find (an organisation does not pay for the size of its neighbours), or those that have the
    rarest word (all must be there)."""
    ways: list[tuple[int, str, list[Any]]] = []
    if words.allowed is not None:
        condition, parameters = _allowed(query.scope)
        ways.append((words.allowed, f"SELECT key FROM search_document AS document WHERE {condition}", parameters))  # noqa: S608
    if query.needs_all:
        entries, numbers = _rarest(words.wanted)
        ways.append((entries, "SELECT document FROM search_posting WHERE term = ANY(%s::int[])", [numbers]))
    number, sql, parameters = min(ways, key=lambda way: way[0], default=(words.entries, "", []))
    if number * len(words.wanted) * _PROBE > words.entries:
        return "", []
    return f" AND search_posting.document = ANY(ARRAY({sql}))", parameters


def _rarest(wanted: list[Wanted]) -> tuple[int, list[int]]:
    """Return how many entries the rarest word of the question has, and its numbers in the vocabulary."""
    places: dict[int, list[Wanted]] = {}
    for each in wanted:
        places.setdefault(each.place, []).append(each)
    rarest = min(places.values(), key=lambda those: sum(each.documents for each in those))
    return sum(each.documents for each in rarest), sorted(each.number for each in rarest)


def _allowed(scope: Scope) -> tuple[str, list[Any]]:
    """The condition for what the asker may find."""
    parts: list[str] = []
    parameters: list[Any] = []
    for grant in scope.grants:
        if grant.organizations is None:
            parts.append("document.type = ANY(%s)")
            parameters.append(sorted(grant.types))
        elif grant.organizations:
            parts.append("(document.type = ANY(%s) AND document.organization_id = ANY(%s::uuid[]))")
            parameters += [sorted(grant.types), sorted(grant.organizations)]
        if grant.documents:
            parts.append("(document.type = ANY(%s) AND document.object_id = ANY(%s::uuid[]))")
            parameters += [sorted(grant.types), sorted(grant.documents)]
    if scope.public_types:
        parts.append("(document.is_public AND document.type = ANY(%s))")
        parameters.append(sorted(scope.public_types))
    return f"({' OR '.join(parts) or 'false'})", parameters


def _page(query: Query) -> tuple[str, list[Any]]:
    """The rows of the page as JSON, best first: one more than asked for, or the best of each kind."""
    top, parameters = _best_of_each(query) if query.each is not None else _best(query)
    sql = f"""SELECT json_agg(best ORDER BY score DESC, object_id DESC, type DESC) FROM (
    SELECT document.*, top.score FROM ({top}) AS top JOIN search_document AS document USING (key)) AS best"""  # noqa: S608
    return sql, parameters


def _best(query: Query) -> tuple[str, list[Any]]:
    conditions: list[str] = ["true"]
    parameters: list[Any] = []
    if query.types is not None:
        conditions.append("type = ANY(%s)")
        parameters.append(sorted(query.types))
    after = query.after
    is_backward = after is not None and after.is_backward
    if after is not None:
        conditions.append(f"(score, object_id, type) {'>' if is_backward else '<'} (%s, %s, %s)")
        parameters += [after.score, after.id, after.type]
    direction = "ASC" if is_backward else "DESC"
    return (
        f"SELECT key, score FROM ranked WHERE {' AND '.join(conditions)} "  # noqa: S608
        f"ORDER BY score {direction}, object_id {direction}, type {direction} LIMIT {query.limit + 1:d}",
        parameters,
    )


def _best_of_each(query: Query) -> tuple[str, list[Any]]:
    """Kind by kind, so that each keeps its best few in memory and nothing is sorted."""
    granted = query.scope.public_types.union(*(grant.types for grant in query.scope.grants))
    kinds = granted if query.types is None else granted & query.types
    return (
        "SELECT key, score FROM unnest(%s::text[]) AS kind (name) CROSS JOIN LATERAL (SELECT key, score FROM ranked "  # noqa: S608
        f"WHERE type = kind.name ORDER BY score DESC, object_id DESC LIMIT {query.each:d}) AS those",
        [sorted(kinds)],
    )


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
