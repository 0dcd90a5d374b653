"""What the search takes and gives."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from search.documents import document_types
from search.selectors import Hit, Results
from search.selectors.finding import LONGEST_QUESTION
from search.selectors.highlights import Highlight


class SearchQuery(serializers.Serializer[Any]):
    q = serializers.CharField(
        max_length=LONGEST_QUESTION,
        help_text="Words (the last one may be cut short), or the beginning of an id, an e-mail address or a number.",
    )
    type = serializers.MultipleChoiceField(
        choices=sorted(document_types),
        required=False,  # absent and empty are the same in a query: every kind
        help_text="Only these kinds; repeat for more.",
    )
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    cursor = serializers.CharField(required=False, help_text="Where the page begins: taken from `next` or `previous`.")


class MarkSerializer(serializers.Serializer[Any]):
    """A place in a text, [start, end), counted in Unicode code points."""

    start = serializers.IntegerField(min_value=0)
    end = serializers.IntegerField(min_value=0)


class HighlightSerializer(serializers.Serializer[Any]):
    """A text in which something was found: plain text, never markup."""

    field = serializers.ChoiceField(choices=["title", "subtitle", "body", "keys"])
    text = serializers.CharField()
    marks = MarkSerializer(many=True)


class HitSerializer(serializers.Serializer[Any]):
    type = serializers.CharField(help_text="The kind of thing: `customer`, `invoice`, …")
    id = serializers.CharField(help_text="Its public id.")
    title = serializers.CharField()
    subtitle = serializers.CharField(allow_blank=True)
    url = serializers.CharField(allow_null=True, help_text="Its address in this API; null when it has none.")
    version = serializers.IntegerField(help_text="Which version of the object was indexed.")
    score = serializers.FloatField(help_text="Comparable within this question only.")
    highlights = HighlightSerializer(many=True)


class CountSerializer(serializers.Serializer[Any]):
    value = serializers.CharField()
    count = serializers.IntegerField(min_value=1)


class ResultsSerializer(serializers.Serializer[Any]):
    """What was found, best first. Counts are exact, over everything that was found and you may see."""

    data = HitSerializer(many=True)  # type: ignore[assignment]  # a member of the reply, not the serializer's own
    next = serializers.CharField(allow_null=True, help_text="The address of the next page; null on the last one.")
    previous = serializers.CharField(allow_null=True, help_text="The address of the page before; null on the first.")
    total = serializers.IntegerField(min_value=0)
    facets = serializers.DictField(
        child=CountSerializer(many=True),
        help_text="By `type` (of all kinds) and by what the kinds asked for declare; the most frequent first.",
    )
    is_relaxed = serializers.BooleanField(
        help_text="Nothing had the words as typed: these have parts of them, or are spelt otherwise."
    )


def written(results: Results, *, next_page: str | None, previous_page: str | None) -> dict[str, Any]:
    """Return the body of the reply."""
    return {
        "data": [_hit(hit) for hit in results.hits],
        "next": next_page,
        "previous": previous_page,
        "total": results.total,
        "facets": {
            name: [{"value": value, "count": count} for value, count in counts.items()]
            for name, counts in results.facets.items()
        },
        "is_relaxed": results.is_relaxed,
    }


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "type": hit.type,
        "id": hit.public_id,
        "title": hit.title,
        "subtitle": hit.subtitle,
        "url": hit.url or None,
        "version": hit.version,
        "score": round(hit.score, 6),
        "highlights": [_highlight(each) for each in hit.highlights],
    }


def _highlight(found: Highlight) -> dict[str, Any]:
    return {
        "field": found.field,
        "text": found.text,
        "marks": [{"start": start, "end": end} for start, end in found.marks],
    }
