"""What the lists of billing share."""

from __future__ import annotations

from typing import Any, ClassVar

from core.access import require
from core.api.viewsets import EntityViewSet


class BillingViewSet(EntityViewSet):
    """A key reads only what its scopes name; people see what belongs to their organisations."""

    view_permission: ClassVar[str]

    def get_queryset(self) -> Any:
        if self.request.actor.scopes is not None:
            require(self.request.actor, self.view_permission)
        return super().get_queryset()
