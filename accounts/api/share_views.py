"""What is shared with whom."""

from __future__ import annotations

from typing import Any

import django_filters
from django.http.response import HttpResponseBase

from accounts.api import team_serializers as s
from accounts.errors import PermissionNotHeld
from accounts.models import Organization, Share
from accounts.permissions import product
from accounts.selectors import shareable
from accounts.services import shares
from core import ids
from core.access import reach, require
from core.api import operations
from core.api.fields import ID_SUFFIX
from core.api.filters import EntityFilterSet
from core.api.requests import Request
from core.api.viewsets import EntityViewSet, operation
from core.errors import Forbidden, InvalidInput
from core.models.base import entities_by_prefix

_MANAGE = "accounts.share.manage"


class _RowFilter(django_filters.CharFilter):
    pattern = rf"^[a-z]{{2,8}}_{ID_SUFFIX}$"  # for the schema


class ShareFilter(EntityFilterSet):
    object = _RowFilter(method="by_object", label="Shares of this row: `inv_…`, `cus_…` and so on.")

    class Meta:
        model = Share
        fields: list[str] = []

    def by_object(self, rows: Any, name: str, value: str) -> Any:
        try:
            prefix, key = ids.split(value)
        except ids.MalformedId as fault:
            raise InvalidInput.at(f"?{name}", str(fault), "malformed_id") from None
        model = entities_by_prefix.get(prefix)
        return rows.filter(object_type=product.type_of(model), object_id=key) if model is not None else rows.none()


class ShareViewSet(EntityViewSet):
    tag = "organizations"
    queryset = Share.objects.select_related("user", "team", "service_account")
    serializer_class = s.ShareSerializer
    filterset_class = ShareFilter

    def get_queryset(self) -> Any:
        """Shares of those organisations in which whoever asks may manage them."""
        where = reach(self.request.actor, [_MANAGE])[_MANAGE].organizations
        if where is None:
            return self.queryset.all()
        if not where:
            raise Forbidden(f"You need the permission '{_MANAGE}' for this.", permission=_MANAGE)
        return self.queryset.filter(organization_id__in=where)

    @operation(
        request=s.ShareInput,
        response=s.ShareSerializer,
        status=201,
        others={200: s.ShareSerializer},
        errors=(PermissionNotHeld,),
        summary="Share something with somebody",
    )
    def create(self, request: Request) -> HttpResponseBase:
        """Whoever it is shared with may see it, and do nothing else with it. Safe to repeat: what was shared already is
        answered with 200."""
        data = self.input()
        row = shareable.find_row(request.actor, data["object"], "/object")
        require(request.actor, _MANAGE, row)
        organization = Organization.objects.get(pk=shareable.organization_id_of(row, "/object"))
        recipient = shareable.find_recipient(organization, data["with"], "/with")
        share, is_new = shares.create(actor=request.actor, row=row, recipient=recipient)
        reply: HttpResponseBase = self.reply(share, operations.of(self.create), status=201 if is_new else 200)
        return reply

    @operation(response=None, status=204, summary="Take a share back")
    def destroy(self, request: Request, **kwargs: Any) -> None:
        shares.revoke(actor=request.actor, share=self.entity())
