"""Routes that are guarded by a relation: a permission class and a list filter for views of one's own.

class InvoiceView(EntityViewSet):
    permission_classes = (HasRelation,)
    filter_backends = (RelatedRows, FilterBackend)
    relation = "viewer"
"""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from rest_framework.filters import BaseFilterBackend
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core import access
from core.actor import ANONYMOUS, Actor
from core.errors import NotFound, Unauthenticated


class HasRelation(BasePermission):
    """Whoever asks has `view.relation` (`viewer` unless named) to the row. Raises `Unauthenticated` for the anonymous
    and `NotFound` for a row to which who asks has not the relation: nobody learns that it is there."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if _actor(request).is_anonymous:
            raise Unauthenticated
        return True

    def has_object_permission(self, request: Request, view: Any, obj: Model) -> bool:
        rows: QuerySet[Model] = type(obj)._default_manager.filter(pk=obj.pk)
        if not access.related(_actor(request), rows, _relation(view)).exists():
            raise NotFound(f"There is no such {obj._meta.verbose_name}, or you may not see it.")
        return True


class RelatedRows(BaseFilterBackend):
    """Of a list the rows to which whoever asks has `view.relation`: two queries at most, the list among them."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        return access.related(_actor(request), queryset, _relation(view))


def _actor(request: Request) -> Actor:
    actor: Actor = getattr(request, "actor", ANONYMOUS)
    return actor


def _relation(view: Any) -> str:
    relation: str = getattr(view, "relation", "viewer")
    return relation
