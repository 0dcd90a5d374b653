"""Teams: some of an organisation's members and service accounts, to whom things are given together."""

from __future__ import annotations

from uuid import UUID

from accounts import events
from accounts.errors import NameTaken
from accounts.models import Organization, ServiceAccount, Team, TeamMember, User
from accounts.selectors import holding
from accounts.selectors.recipients import column_of, is_of
from accounts.services.locks import is_taken, lock_organization, still_there
from accounts.services.stale_tuples import forget
from audit import record
from core import streams
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import InvalidInput


@command("accounts.team.create")
def create(*, actor: Actor, organization: Organization, name: str) -> Team:
    """Make a team that is still empty. Writes `accounts.team.created`. Raises `NameTaken`."""
    require(actor, "accounts.team.manage", organization)
    lock_organization(organization.pk)
    _refuse_taken(organization.pk, name)
    team = Team.objects.create(organization=organization, name=name)
    record(events.TEAM_CREATED, actor=actor, subject=team, after={"name": name})
    return team


@command("accounts.team.rename")
def rename(*, actor: Actor, team: Team, name: str) -> Team:
    """Call a team otherwise. Writes `accounts.team.renamed` when the name is another. Raises `NameTaken`."""
    require(actor, "accounts.team.manage", team)
    lock_organization(team.organization_id)
    team = still_there(team)
    if name != team.name:
        _refuse_taken(team.organization_id, name, but=team)
        before, team.name = team.name, name
        team.save(update_fields=["name"])
        record(events.TEAM_RENAMED, actor=actor, subject=team, before={"name": before}, after={"name": name})
    return team


@command("accounts.team.delete")
def delete(*, actor: Actor, team: Team) -> None:
    """Delete a team, and all that was given to it. Writes `accounts.team.deleted`."""
    require(actor, "accounts.team.manage", team)
    lock_organization(team.organization_id)
    team = still_there(team)
    data = {"members": TeamMember.objects.filter(team=team).count()}
    record(events.TEAM_DELETED, actor=actor, subject=team, before={"name": team.name}, data=data)
    forget(team)
    streams.wake(streams.ACCESS_CHANGED)
    team.delete()


@command("accounts.team_member.add")
def add_member(*, actor: Actor, team: Team, member: User | ServiceAccount) -> tuple[TeamMember, bool]:
    """Put somebody of the organisation into a team; returns the row and whether it is new. Writes
    `accounts.team_member.added` when it is. Raises `InvalidInput` for whoever is not of the organisation, and
    `PermissionNotHeld` when the team was given what the actor does not hold."""
    require(actor, "accounts.team.manage", team)
    lock_organization(team.organization_id)
    team = still_there(team)
    if not is_of(team.organization_id, member):
        raise InvalidInput.at("/member_id", "There is nobody of this id in the organisation.", "does_not_exist")
    holding.refuse_more_than_held(actor, team.organization, holding.permissions_of(team))
    row, is_new = TeamMember.objects.get_or_create(team=team, **column_of(member))
    if is_new:
        streams.wake(streams.ACCESS_CHANGED)
        record(events.TEAM_MEMBER_ADDED, actor=actor, subject=row, after=_facts(row))
    return row, is_new


@command("accounts.team_member.remove")
def remove_member(*, actor: Actor, member: TeamMember) -> None:
    """Take somebody out of a team; everybody may leave. Writes `accounts.team_member.removed`."""
    if actor.id != member.user_id or actor.id is None:
        require(actor, "accounts.team.manage", member.team)
    lock_organization(member.team.organization_id)
    _remove(actor, still_there(member))


def leave_all(actor: Actor, organization_id: UUID, member: User | ServiceAccount) -> None:
    """Take somebody out of every team of an organisation, inside a command that holds its lock. Writes
    `accounts.team_member.removed` for each."""
    rows = TeamMember.objects.select_related("team").filter(team__organization_id=organization_id, **column_of(member))
    for row in rows.order_by("pk"):
        _remove(actor, row)


def _remove(actor: Actor, row: TeamMember) -> None:
    record(events.TEAM_MEMBER_REMOVED, actor=actor, subject=row, before=_facts(row))
    streams.wake(streams.ACCESS_CHANGED)
    row.delete()


def _facts(row: TeamMember) -> dict[str, str]:
    member = "user_id" if row.user_id else "service_account_id"
    return {"team_id": str(row.team_id), member: str(getattr(row, member))}


def _refuse_taken(organization_id: UUID, name: str, but: Team | None = None) -> None:
    others = Team.objects.filter(organization_id=organization_id)
    if is_taken(others.exclude(pk=but.pk) if but else others, name):
        raise NameTaken
