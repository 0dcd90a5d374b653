"""Service accounts of an organisation."""

from __future__ import annotations

from typing import Any

from accounts.api import team_serializers as s
from accounts.api.parts import OneOfOrganization
from accounts.api.views import OwnedViewSet
from accounts.errors import PermissionNotHeld, ServiceAccountActive, ServiceAccountInactive
from accounts.models import ServiceAccount
from accounts.services import service_accounts
from core.api.requests import Request
from core.api.viewsets import command_action, operation


class OrganizationServiceAccountViewSet(OwnedViewSet):
    queryset = ServiceAccount.objects.all()
    serializer_class = s.ServiceAccountSerializer
    view_permission = "accounts.service_account.view"

    @operation(
        request=s.ServiceAccountInput,
        response=s.ServiceAccountSerializer,
        status=201,
        errors=(PermissionNotHeld,),
        summary="Make a service account",
    )
    def create(self, request: Request, **kwargs: Any) -> ServiceAccount:
        """Make API keys for it by `POST …/api-keys` with its id."""
        return service_accounts.create(actor=request.actor, organization=self.organization, **self.input())


class ServiceAccountViewSet(OneOfOrganization):
    queryset = ServiceAccount.objects.all()
    serializer_class = s.ServiceAccountSerializer
    view_permission = "accounts.service_account.view"

    @operation(
        request=s.ServiceAccountChange,
        response=s.ServiceAccountSerializer,
        errors=(PermissionNotHeld,),
        summary="Change a service account",
    )
    def partial_update(self, request: Request, **kwargs: Any) -> ServiceAccount:
        return service_accounts.update(actor=request.actor, account=self.entity(), **self.input())

    @command_action(
        request=None,
        response=s.ServiceAccountSerializer,
        errors=(ServiceAccountInactive,),
        summary="Deactivate a service account",
    )
    def deactivate(self, request: Request, **kwargs: Any) -> ServiceAccount:
        """Its keys stop at once; what it was given stays with it."""
        return service_accounts.deactivate(actor=request.actor, account=self.entity(), now=request.now)

    @command_action(
        request=None,
        response=s.ServiceAccountSerializer,
        errors=(ServiceAccountActive, PermissionNotHeld),
        summary="Reactivate a service account",
    )
    def reactivate(self, request: Request, **kwargs: Any) -> ServiceAccount:
        """Its keys open again, save those that were revoked."""
        return service_accounts.reactivate(actor=request.actor, account=self.entity(), now=request.now)
