"""Teams and their members."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http.response import HttpResponseBase

from accounts.api import team_serializers as s
from accounts.api.views import OwnedViewSet
from accounts.errors import NameTaken, PermissionNotHeld
from accounts.models import Team, TeamMember
from accounts.selectors import recipients
from accounts.services import teams
from core import ids
from core.access import require, visible
from core.api import operations
from core.api.requests import Request
from core.api.viewsets import EntityViewSet, operation
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
