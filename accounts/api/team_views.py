"""Teams and their members."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase

from accounts.api import team_serializers as s
from accounts.api.parts import OneOfOrganization, PartViewSet
from accounts.api.views import OwnedViewSet
from accounts.errors import NameTaken, PermissionNotHeld
from accounts.models import Team, TeamMember
from accounts.selectors import recipients
from accounts.services import teams
from core.access import require
from core.api.requests import Request
from core.api.viewsets import operation


class OrganizationTeamViewSet(OwnedViewSet):
    queryset = Team.objects.all()
    serializer_class = s.TeamSerializer
    view_permission = "accounts.team.view"

    @operation(request=s.NameInput, response=s.TeamSerializer, status=201, errors=(NameTaken,), summary="Make a team")
    def create(self, request: Request, **kwargs: Any) -> Team:
        return teams.create(actor=request.actor, organization=self.organization, **self.input())


class TeamViewSet(OneOfOrganization):
    queryset = Team.objects.all()
    serializer_class = s.TeamSerializer
    view_permission = "accounts.team.view"

    @operation(request=s.NameInput, response=s.TeamSerializer, errors=(NameTaken,), summary="Rename a team")
    def partial_update(self, request: Request, **kwargs: Any) -> Team:
        return teams.rename(actor=request.actor, team=self.entity(), **self.input())

    @operation(response=None, status=204, summary="Delete a team")
    def destroy(self, request: Request, **kwargs: Any) -> None:
        """What was given to the team is taken back; its members stay in the organisation."""
        teams.delete(actor=request.actor, team=self.entity())


class TeamMemberViewSet(PartViewSet):
    queryset = TeamMember.objects.select_related("user", "service_account", "team__organization")
    serializer_class = s.TeamMemberSerializer
    parent, parent_kwarg, parent_field = Team, "team_id", "team"
    view_permission = "accounts.team.view"

    @operation(
        request=s.TeamMemberInput,
        response=s.TeamMemberSerializer,
        status=201,
        others={200: s.TeamMemberSerializer},
        errors=(PermissionNotHeld,),
        summary="Add somebody to a team",
    )
    def create(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        """Safe to repeat: who belongs to the team already is answered with 200."""
        team = self.whole
        require(request.actor, "accounts.team.manage", team)
        found = recipients.find_one(team.organization, self.input()["member_id"], pointer="/member_id")
        return self.made(*teams.add_member(actor=request.actor, team=team, member=found))

    @operation(response=None, status=204, summary="Take somebody out of a team, or leave it")
    def destroy(self, request: Request, **kwargs: Any) -> None:
        teams.remove_member(actor=request.actor, member=self.entity())
