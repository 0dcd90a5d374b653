"""Routes of what belongs to an organisation and is named without it, and of what is a part of such a thing."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http.response import HttpResponseBase

from core import ids
from core.access import require, visible
from core.api import operations
from core.api.viewsets import EntityViewSet
from core.errors import NotFound
from core.models import Entity


class OneOfOrganization(EntityViewSet):
    """One row, named by its id alone, for who may see that kind of thing in its organisation."""

    tag = "organizations"
    view_permission: ClassVar[str]

    def entity(self) -> Any:
        row = super().entity()
        require(self.request.actor, self.view_permission, row)
        return row


class PartViewSet(EntityViewSet):
    """What is a part of the row in the address (`parent`, whose id stands under `parent_kwarg`), for who may see it."""

    tag = "organizations"
    parent: ClassVar[type[Entity]]
    parent_kwarg: ClassVar[str]
    parent_field: ClassVar[str]
    view_permission: ClassVar[str]

    @property
    def whole(self) -> Any:
        """The row of the address. Raises `NotFound` for one that may not be seen."""
        model: Any = self.parent
        try:
            pk = ids.decode(model.id_prefix, self.kwargs[self.parent_kwarg])
            row = visible(self.request.actor, model.objects.select_related("organization")).get(pk=pk)
        except (ids.MalformedId, model.DoesNotExist):
            raise NotFound(f"There is no such {model._meta.verbose_name}, or you may not see it.") from None
        require(self.request.actor, self.view_permission, row)
        return row

    def get_queryset(self) -> Any:
        return self.queryset.filter(**{self.parent_field: self.whole})

    def made(self, row: Entity, is_new: bool) -> HttpResponseBase:
        """Reply 201 with what was made, 200 with what was there already."""
        declared = operations.of(self.create)  # type: ignore[attr-defined]
        reply: HttpResponseBase = self.reply(row, declared, status=201 if is_new else 200)
        return reply
