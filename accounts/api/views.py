"""Organisations, and what belongs to them: members, invitations, API keys."""

from __future__ import annotations

from typing import Any, ClassVar

from accounts.api import serializers as s
from accounts.errors import (
    AlreadyInvited,
    AlreadyMember,
    ApiKeyNotLive,
    InvalidMailToken,
    InvitationForAnother,
    InvitationNotPending,
    LastOwner,
    PermissionNotHeld,
    ScopeNotHeld,
    ServiceAccountInactive,
)
from accounts.models import ApiKey, Invitation, Membership, Organization
from accounts.services import api_keys, invitations, memberships, organizations
from core import ids
from core.access import Role, require, visible
from core.api.requests import Request
from core.api.views import APIView
from core.api.viewsets import EntityViewSet, command_action, operation
from core.errors import NotFound


class OrganizationViewSet(EntityViewSet):
    tag = "organizations"
    queryset = Organization.objects.all()
    serializer_class = s.OrganizationSerializer

    @operation(
        request=s.OrganizationInput, response=s.OrganizationSerializer, status=201, summary="Make an organisation"
    )
    def create(self, request: Request) -> Organization:
        """Whoever makes it becomes its owner."""
        return organizations.create(actor=request.actor, **self.input())

    @operation(
        request=s.OrganizationChange, response=s.OrganizationSerializer, summary="Change an organisation's details"
    )
    def partial_update(self, request: Request, **kwargs: Any) -> Organization:
        return organizations.update(actor=request.actor, organization=self.entity(), **self.input())


class OwnedViewSet(EntityViewSet):
    """What belongs to the organisation in the address, for who may see that kind of thing."""

    tag = "organizations"
    view_permission: ClassVar[str]

    @property
    def organization(self) -> Organization:
        """The organisation of the address. Raises `NotFound` for one that may not be seen."""
        try:
            pk = ids.decode(Organization.id_prefix, self.kwargs["organization_id"])
            return visible(self.request.actor, Organization.objects.all()).get(pk=pk)
        except (ids.MalformedId, Organization.DoesNotExist):
            raise NotFound("There is no such organisation, or you may not see it.") from None

    def get_queryset(self) -> Any:
        organization = self.organization
        require(self.request.actor, self.view_permission, organization)
        return self.queryset.filter(organization=organization)


class MembershipViewSet(OwnedViewSet):
    queryset = Membership.objects.select_related("user", "organization")
    serializer_class = s.MembershipSerializer
    view_permission = "accounts.membership.view"

    @operation(
        request=s.RoleInput,
        response=s.MembershipSerializer,
        errors=(LastOwner, PermissionNotHeld),
        summary="Give a member another role",
    )
    def partial_update(self, request: Request, **kwargs: Any) -> Membership:
        role = Role(self.input()["role"])
        member = memberships.change_role(actor=request.actor, membership=self.entity(), role=role)
        return self.queryset.get(pk=member.pk)

    @operation(response=None, status=204, errors=(LastOwner,), summary="Remove a member, or leave")
    def destroy(self, request: Request, **kwargs: Any) -> None:
        memberships.remove(actor=request.actor, membership=self.entity())


class InvitationViewSet(OwnedViewSet):
    queryset = Invitation.objects.select_related("organization")
    serializer_class = s.InvitationSerializer
    view_permission = "accounts.invitation.view"

    @operation(
        request=s.InvitationInput,
        response=s.InvitationSerializer,
        status=201,
        errors=(AlreadyMember, AlreadyInvited, PermissionNotHeld),
        summary="Invite somebody",
    )
    def create(self, request: Request, **kwargs: Any) -> Invitation:
        """The token goes by mail."""
        data = self.input()
        return invitations.create(
            actor=request.actor,
            organization=self.organization,
            email=data["email"],
            role=Role(data["role"]),
            now=request.now,
        )

    @command_action(
        request=None, response=s.InvitationSerializer, errors=(InvitationNotPending,), summary="Take an invitation back"
    )
    def revoke(self, request: Request, **kwargs: Any) -> Invitation:
        return invitations.revoke(actor=request.actor, invitation=self.entity())


class InvitationAcceptView(APIView):
    tag = "organizations"

    @operation(
        request=s.TokenInput,
        response=s.MembershipSerializer,
        errors=(InvalidMailToken, InvitationForAnother, AlreadyMember),
        operation_id="invitations_accept",
        summary="Accept an invitation",
    )
    def post(self, request: Request) -> Membership:
        """Send the token out of the mail, signed in with the address to which it went."""
        return invitations.accept(actor=request.actor, now=request.now, **self.input())


class ApiKeyViewSet(OwnedViewSet):
    queryset = ApiKey.objects.select_related("organization")
    serializer_class = s.ApiKeySerializer
    view_permission = "accounts.api_key.view"

    @operation(
        request=s.ApiKeyInput,
        response=s.ApiKeySecretSerializer,
        status=201,
        has_secret=True,
        errors=(ScopeNotHeld, PermissionNotHeld, ServiceAccountInactive),
        summary="Make an API key",
    )
    def create(self, request: Request, **kwargs: Any) -> ApiKey:
        """The key stands in this reply and nowhere else."""
        return _with_text(
            *api_keys.create(actor=request.actor, organization=self.organization, now=request.now, **self.input())
        )

    @command_action(
        request=None,
        response=s.ApiKeySecretSerializer,
        has_secret=True,
        errors=(ApiKeyNotLive, ScopeNotHeld, PermissionNotHeld),
        summary="Replace the secret of an API key",
    )
    def rotate(self, request: Request, **kwargs: Any) -> ApiKey:
        """The old key stops at once."""
        return _with_text(*api_keys.rotate(actor=request.actor, api_key=self.entity(), now=request.now))

    @command_action(request=None, response=s.ApiKeySerializer, errors=(ApiKeyNotLive,), summary="Revoke an API key")
    def revoke(self, request: Request, **kwargs: Any) -> ApiKey:
        return api_keys.revoke(actor=request.actor, api_key=self.entity(), now=request.now)


def _with_text(key: ApiKey, text: str) -> ApiKey:
    key.key = text  # type: ignore[attr-defined]
    return key
