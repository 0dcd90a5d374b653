"""Lists, single rows and commands of one kind of entity."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.viewsets import GenericViewSet

from core import ids
from core.access import visible
from core.api import operations
from core.api.cursors import PARAMETERS
from core.api.filters import FilterBackend, filtered
from core.api.operations import Operation, command_action, operation
from core.api.pagination import CursorPage
from core.api.replies import Reply
from core.api.requests import Request
from core.api.serializers import EntitySerializer
from core.api.views import APIView, written
from core.errors import NotFound
from core.models import Entity
from core.reading import read

__all__ = ["EntityViewSet", "command_action", "operation"]


class EntityViewSet(APIView, GenericViewSet):  # type: ignore[type-arg]
    """`GET …` and `GET …/{id}` of what whoever asks may see. Derive it; name `queryset` (with its select_related),
    `serializer_class` (an `EntitySerializer`), `filterset_class` and, where the newest do not come first, `ordering`
    (indexed columns, never null, the last one unique). Commands are methods under `command_action`; `create` and
    `partial_update` under `operation`."""

    queryset: Any = None
    serializer_class: Any = EntitySerializer
    filterset_class: ClassVar[Any] = None
    filter_backends = (FilterBackend,)
    pagination_class = CursorPage
    ordering: ClassVar[tuple[str, ...]] = ("-id",)
    lookup_field = "id"
    lookup_url_kwarg = "id"
    lookup_value_regex = "[^/]+"
    is_bounded: ClassVar[bool] = True

    def get_queryset(self) -> QuerySet[Any]:
        """Return what whoever asks may see (`is_bounded = False`: everybody sees every row)."""
        rows = self.queryset.all()
        return visible(self.request.actor, rows) if self.is_bounded else rows

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Reply:
        rows = self.get_queryset()
        if self.filterset_class is not None:
            rows = filtered(self.filterset_class, request.GET, rows)
        page = CursorPage().page(rows, request._request, self.ordering)
        return Reply(page.document(written(self.serializer_class, page.rows)))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Reply:
        row = self.entity()
        reply = Reply(written(self.serializer_class, row), version=row.version)
        tag = reply.headers["ETag"]
        known = request.META.get("HTTP_IF_NONE_MATCH")
        return Reply(status=304, headers={"ETag": tag}) if known is not None and _names(known, tag) else reply

    def entity(self) -> Any:
        """Return the row that the address names, at the version that `If-Match` asks for. Raises `NotFound`, also for
        what may not be seen, and `StaleVersion`."""
        queryset = self.get_queryset()
        model: type[Entity] = queryset.model
        missing = NotFound(f"There is no such {model._meta.verbose_name}, or you may not see it.")
        try:
            rows = read(queryset.filter(pk=ids.decode(model.id_prefix, self.kwargs["id"])))
        except ids.MalformedId:
            raise missing from None
        if not rows:
            raise missing
        return self.check_version(rows[0])

    def get_object(self) -> Any:
        return self.entity()

    def known_parameters(self, declared: Operation) -> frozenset[str]:
        known = super().known_parameters(declared)
        if self.action == "list":
            filters = self.filterset_class.base_filters if self.filterset_class is not None else ()
            return known | PARAMETERS | frozenset(filters)
        return known

    def input(self, serializer_class: Any = None, **options: Any) -> Any:
        if serializer_class is None:
            serializer_class = operations.of(getattr(self, self.action or "")).request
        return super().input(serializer_class, **options)

    def query(self, serializer_class: Any = None) -> Any:
        if serializer_class is None:
            serializer_class = operations.of(getattr(self, self.action or "")).query
        return super().query(serializer_class)


def _names(header: str, tag: str) -> bool:
    return header.strip() == "*" or tag in {part.strip().removeprefix("W/") for part in header.split(",")}
