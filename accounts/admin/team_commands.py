"""What staff may do with what an organisation gives: each command previews what the service will do, and calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.models import (
    CustomRole,
    Organization,
    RoleAssignment,
    ServiceAccount,
    Share,
    Team,
    TeamMember,
)
from accounts.models.teams import SERVICE_ROLE_CHOICES
from accounts.selectors import holding, recipients, shareable
from accounts.services import custom_roles, service_accounts, shares, teams
from core.admin import Call, CommandAction, CommandForm, Effect, Outcome
from core.admin.html import NOTHING, state
from core.errors import InvalidInput
from core.models import Entity

_OF_ORGANIZATION = "The e-mail address of a member, or an id: usr_…, sva_…"


def text_field(label: str, help_text: str = "", *, is_required: bool = True, longest: int = 100) -> forms.CharField:
    """One line to type."""
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=is_required,
        max_length=longest,
        widget=UnfoldAdminTextInputWidget(),
    )


def _new_or(done: str, known: str) -> Callable[[Any], Outcome]:
    """Say what came of a command that returns a row and whether it is new."""
    return lambda result: Outcome(done) if result[1] else Outcome(known, "warning")


# --- teams -----------------------------------------------------------------------------------------------------------


class NameForm(CommandForm):
    name = text_field("Name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.obj, Organization):
            self.fields["name"].initial = self.obj.name


class WhoForm(CommandForm):
    who = text_field("Who", _OF_ORGANIZATION, longest=254)


class AnybodyForm(CommandForm):
    who = text_field("Who", f"{_OF_ORGANIZATION}, tem_…", longest=254)


def _one(call: Call[Team]) -> Any:
    found = recipients.find_by_word(call.obj.organization, call.data["who"], pointer="/who")
    if isinstance(found, Team):
        raise InvalidInput.at("/who", "A team has no teams.")
    return found


NEW_TEAM: CommandAction[Organization] = CommandAction(
    "new-team",
    "New team",
    "accounts.team.manage",
    lambda call: teams.create(actor=call.actor, organization=call.obj, name=call.data["name"]),
    form=NameForm,
    preview=lambda call: (Effect("Team", "", call.data["name"]),),
    text="Makes a team that is still empty.",
    done="The team was made:",
    makes=lambda made: made,
    icon="group_add",
)
RENAME_TEAM: CommandAction[Team] = CommandAction(
    "rename",
    "Rename",
    "accounts.team.manage",
    lambda call: teams.rename(actor=call.actor, team=call.obj, name=call.data["name"]),
    form=NameForm,
    preview=lambda call: (Effect("Name", call.obj.name, call.data["name"]),),
    done="The team was renamed.",
    icon="edit",
)
ADD_MEMBER: CommandAction[Team] = CommandAction(
    "add-member",
    "Add a member",
    "accounts.team.manage",
    lambda call: teams.add_member(actor=call.actor, team=call.obj, member=_one(call)),
    form=WhoForm,
    preview=lambda call: (Effect("Member", "", str(_one(call))),),
    text="Puts a member or a service account of the organisation into the team, with all that the team was given.",
    outcome=_new_or("The member was added.", "Nothing changed: this is a member already."),
    icon="person_add",
)
DELETE_TEAM: CommandAction[Team] = CommandAction(
    "delete",
    "Delete",
    "accounts.team.manage",
    lambda call: teams.delete(actor=call.actor, team=call.obj),
    preview=lambda call: (
        Effect("Members", call.obj.members.count(), 0),
        Effect("Custom roles", RoleAssignment.objects.filter(team=call.obj).count(), 0),
        Effect("Shared with it", Share.objects.filter(team=call.obj).count(), 0),
    ),
    text="Deletes the team and takes back what was given to it. Its members stay in the organisation.",
    done="The team was deleted.",
    icon="delete",
    is_dangerous=True,
    parent=lambda team: team.organization,
)
REMOVE_MEMBER: CommandAction[TeamMember] = CommandAction(
    "remove",
    "Take out of the team",
    "accounts.team.manage",
    lambda call: teams.remove_member(actor=call.actor, member=call.obj),
    preview=lambda call: (Effect("Team", call.obj.team.name, NOTHING),),
    done="The member was taken out.",
    icon="person_remove",
    is_dangerous=True,
    parent=lambda member: member.team,
)

# --- custom roles ----------------------------------------------------------------------------------------------------


class RoleForm(NameForm):
    description = text_field("Description", is_required=False, longest=500)
    permissions = forms.MultipleChoiceField(widget=UnfoldAdminCheckboxSelectMultipleWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(one.name, f"{one.text} ({one.name})") for one in holding.grantable().values()]
        self.fields["permissions"].choices = choices  # type: ignore[attr-defined]
        if isinstance(self.obj, CustomRole):
            self.fields["permissions"].initial = self.obj.permissions
            self.fields["description"].initial = self.obj.description


def _role_preview(call: Call[Any]) -> Iterable[Effect]:
    role = call.obj if isinstance(call.obj, CustomRole) else None
    yield Effect("Name", role.name if role else "", call.data["name"])
    wanted, before = set(call.data["permissions"]), set(role.permissions if role else ())
    yield Effect("Given", "", ", ".join(sorted(wanted - before)) or NOTHING)
    yield Effect("Taken", ", ".join(sorted(before - wanted)) or NOTHING, "")
    if role is not None:
        yield Effect("Given to", role.assignments.count(), "as many")


NEW_ROLE: CommandAction[Organization] = CommandAction(
    "new-role",
    "New custom role",
    "accounts.custom_role.manage",
    lambda call: custom_roles.create(actor=call.actor, organization=call.obj, **call.data),
    form=RoleForm,
    preview=_role_preview,
    text="Makes a role of the organisation's own. Nobody holds it yet.",
    done="The role was made:",
    makes=lambda made: made,
    icon="badge",
)
CHANGE_ROLE: CommandAction[CustomRole] = CommandAction(
    "change",
    "Change",
    "accounts.custom_role.manage",
    lambda call: custom_roles.update(actor=call.actor, role=call.obj, **call.data),
    form=RoleForm,
    preview=_role_preview,
    text="Whoever holds the role has what it gives now, at once.",
    done="The role was changed.",
    icon="edit",
)
ASSIGN_ROLE: CommandAction[CustomRole] = CommandAction(
    "assign",
    "Give to somebody",
    "accounts.custom_role.manage",
    lambda call: custom_roles.assign(actor=call.actor, role=call.obj, recipient=_anybody(call)),
    form=AnybodyForm,
    preview=lambda call: (Effect("Holds the role", "", str(_anybody(call))),),
    outcome=_new_or("The role was given.", "Nothing changed: they hold it already."),
    icon="person_add",
)
DELETE_ROLE: CommandAction[CustomRole] = CommandAction(
    "delete",
    "Delete",
    "accounts.custom_role.manage",
    lambda call: custom_roles.delete(actor=call.actor, role=call.obj),
    preview=lambda call: (Effect("Given to", call.obj.assignments.count(), 0),),
    text="Whoever holds the role loses what it gives.",
    done="The role was deleted.",
    icon="delete",
    is_dangerous=True,
    parent=lambda role: role.organization,
)
UNASSIGN_ROLE: CommandAction[RoleAssignment] = CommandAction(
    "take",
    "Take the role",
    "accounts.custom_role.manage",
    lambda call: custom_roles.unassign(actor=call.actor, assignment=call.obj),
    preview=lambda call: (Effect("Role", call.obj.role.name, NOTHING),),
    done="The role was taken.",
    icon="person_remove",
    is_dangerous=True,
    parent=lambda assignment: assignment.role,
)


def _anybody(call: Call[CustomRole]) -> recipients.Found:
    return recipients.find_by_word(call.obj.organization, call.data["who"], pointer="/who")


# --- service accounts ------------------------------------------------------------------------------------------------


class ServiceAccountForm(NameForm):
    role = forms.ChoiceField(
        choices=[("", "None"), *SERVICE_ROLE_CHOICES], required=False, widget=UnfoldAdminSelectWidget()
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(self.obj, ServiceAccount):
            self.fields["role"].initial = self.obj.role


NEW_SERVICE_ACCOUNT: CommandAction[Organization] = CommandAction(
    "new-service-account",
    "New service account",
    "accounts.service_account.manage",
    lambda call: service_accounts.create(actor=call.actor, organization=call.obj, **call.data),
    form=ServiceAccountForm,
    preview=lambda call: (Effect("Service account", "", call.data["name"]), Effect("Role", "", call.data["role"])),
    text="Makes an account for a program. The organisation makes its keys by the API.",
    done="The service account was made:",
    makes=lambda made: made,
    icon="smart_toy",
)
CHANGE_SERVICE_ACCOUNT: CommandAction[ServiceAccount] = CommandAction(
    "change",
    "Change",
    "accounts.service_account.manage",
    lambda call: service_accounts.update(actor=call.actor, account=call.obj, **call.data),
    form=ServiceAccountForm,
    preview=lambda call: (
        Effect("Name", call.obj.name, call.data["name"]),
        Effect("Role", call.obj.role or NOTHING, call.data["role"] or NOTHING),
    ),
    done="The service account was changed.",
    icon="edit",
)
DEACTIVATE: CommandAction[ServiceAccount] = CommandAction(
    "deactivate",
    "Deactivate",
    "accounts.service_account.manage",
    lambda call: service_accounts.deactivate(actor=call.actor, account=call.obj, now=call.now),
    is_offered=lambda account: account.is_active,
    preview=lambda call: (Effect("Its keys", state("active"), state("locked")),),
    text="Shuts its keys at once; the programs that use them stop working. What it was given stays with it.",
    done="The service account was deactivated.",
    icon="block",
    is_dangerous=True,
)
REACTIVATE: CommandAction[ServiceAccount] = CommandAction(
    "reactivate",
    "Reactivate",
    "accounts.service_account.manage",
    lambda call: service_accounts.reactivate(actor=call.actor, account=call.obj, now=call.now),
    is_offered=lambda account: not account.is_active,
    preview=lambda call: (Effect("Its keys", state("locked"), state("active")),),
    done="The service account is active again.",
    icon="check_circle",
)

# --- shares ----------------------------------------------------------------------------------------------------------


class ShareForm(CommandForm):
    who = text_field("With whom", "An e-mail address, or an id: usr_…, tem_…, sva_…", longest=254)


def _with_whom(call: Call[Entity]) -> recipients.Found:
    organization = Organization.objects.get(pk=shareable.organization_id_of(call.obj, "/object"))
    return shareable.find_recipient(organization, call.data["who"], "/who")


SHARE: CommandAction[Entity] = CommandAction(
    "share",
    "Share",
    "accounts.share.manage",
    lambda call: shares.create(actor=call.actor, row=call.obj, recipient=_with_whom(call)),
    is_offered=shareable.has_organization,
    form=ShareForm,
    preview=lambda call: (Effect("Sees it", "", str(_with_whom(call))),),
    text="Lets a person, a team or a service account see this, and do nothing else with it.",
    outcome=_new_or("It is shared.", "Nothing changed: it is shared with them already."),
    icon="share",
)
REVOKE_SHARE: CommandAction[Share] = CommandAction(
    "revoke",
    "Take back",
    "accounts.share.manage",
    lambda call: shares.revoke(actor=call.actor, share=call.obj),
    preview=lambda call: (Effect("Sees it", str(call.obj.recipient), NOTHING),),
    done="It is shared no longer.",
    icon="undo",
    is_dangerous=True,
    parent=lambda share: share.organization,
)

OF_ORGANIZATION = (NEW_TEAM, NEW_ROLE, NEW_SERVICE_ACCOUNT)
