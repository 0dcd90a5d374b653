"""`GET /api/v1/search`: one question over everything that who asks may see."""

from __future__ import annotations

from core.api.cursors import Position, link, read_cursor, scope_of
from core.api.operations import operation
from core.api.replies import Reply
from core.api.requests import Request
from core.api.views import APIView
from search import selectors
from search.api import serializers as s
from search.providers.base import Place

_ORDER = ("-score", "-id", "-type", "is_relaxed")


class SearchView(APIView):
    tag = "search"

    @operation(query=s.SearchQuery, response=s.ResultsSerializer, summary="Find anything", operation_id="search")
    def get(self, request: Request) -> Reply:
        asked = self.query()
        scope = scope_of(request._request, _ORDER)
        results = selectors.find(
            actor=request.actor,
            q=asked["q"],
            types=asked.get("type") or None,
            limit=asked["limit"],
            cursor=_place(read_cursor(asked["cursor"], scope, len(_ORDER))) if "cursor" in asked else None,
        )
        next_page, previous_page = (
            link(request._request, _position(place), scope) if place is not None else None
            for place in (results.next, results.previous)
        )
        return Reply(s.written(results, next_page=next_page, previous_page=previous_page))


def _place(position: Position) -> Place:
    score, key, kind, is_relaxed = position.key
    return Place(score, key, kind, bool(is_relaxed), position.is_backward)


def _position(place: Place) -> Position:
    return Position((place.score, place.id, place.type, int(place.is_relaxed)), place.is_backward)
