"""Custom roles, who holds them, and of what they may be made."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase

from accounts.api import team_serializers as s
from accounts.api.parts import OneOfOrganization, PartViewSet
from accounts.api.views import OwnedViewSet
from accounts.errors import NameTaken, PermissionNotHeld
from accounts.models import CustomRole, RoleAssignment
from accounts.selectors import holding, recipients
from accounts.services import custom_roles
from core.access import require
from core.api.requests import Request
from core.api.viewsets import operation


class OrganizationRoleViewSet(OwnedViewSet):
    queryset = CustomRole.objects.all()
    serializer_class = s.CustomRoleSerializer
    view_permission = "accounts.custom_role.view"

    @operation(
        request=s.CustomRoleInput,
        response=s.CustomRoleSerializer,
        status=201,
        errors=(NameTaken, PermissionNotHeld),
        summary="Make a custom role",
    )
    def create(self, request: Request, **kwargs: Any) -> CustomRole:
        """Nobody holds it yet. It can have what an administrator holds, and nothing that you lack."""
        return custom_roles.create(actor=request.actor, organization=self.organization, **self.input())

    @operation(
        response=s.GrantablesReply,
        operation_id="organizations_grantable_permissions_list",
        summary="List the permissions that a custom role may have",
    )
    def grantable(self, request: Request, **kwargs: Any) -> dict[str, Any]:
        organization = self.organization
        require(request.actor, self.view_permission, organization)
        held = holding.held_by(request.actor, organization)
        found = holding.grantable().values()
        return {"data": [{"name": one.name, "text": one.text, "is_held": one.name in held} for one in found]}


class RoleViewSet(OneOfOrganization):
    queryset = CustomRole.objects.all()
    serializer_class = s.CustomRoleSerializer
    view_permission = "accounts.custom_role.view"

    @operation(
        request=s.CustomRoleChange,
        response=s.CustomRoleSerializer,
        errors=(NameTaken, PermissionNotHeld),
        summary="Change a custom role",
    )
    def partial_update(self, request: Request, **kwargs: Any) -> CustomRole:
        """Whoever holds it has what it gives now, at once."""
        return custom_roles.update(actor=request.actor, role=self.entity(), **self.input())

    @operation(response=None, status=204, summary="Delete a custom role")
    def destroy(self, request: Request, **kwargs: Any) -> None:
        """Whoever held it loses what it gave."""
        custom_roles.delete(actor=request.actor, role=self.entity())


class RoleAssigneeViewSet(PartViewSet):
    queryset = RoleAssignment.objects.select_related("user", "team", "service_account", "role__organization")
    serializer_class = s.RoleAssignmentSerializer
    parent, parent_kwarg, parent_field = CustomRole, "role_id", "role"
    view_permission = "accounts.custom_role.view"

    @operation(
        request=s.RoleAssignmentInput,
        response=s.RoleAssignmentSerializer,
        status=201,
        others={200: s.RoleAssignmentSerializer},
        errors=(PermissionNotHeld,),
        summary="Give a custom role to somebody",
    )
    def create(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        """Safe to repeat: who holds the role already is answered with 200."""
        role = self.whole
        require(request.actor, "accounts.custom_role.manage", role)
        found = recipients.find(role.organization, self.input()["assignee_id"], pointer="/assignee_id")
        return self.made(*custom_roles.assign(actor=request.actor, role=role, recipient=found))

    @operation(response=None, status=204, summary="Take a custom role from somebody")
    def destroy(self, request: Request, **kwargs: Any) -> None:
        custom_roles.unassign(actor=request.actor, assignment=self.entity())
