"""People, organisations, members, sessions and keys in the admin: seen as they are, changed by commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from allauth.account.models import EmailAddress, EmailConfirmation
from django import forms
from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.auth.models import Group
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.admin.permission_parts import tuples_section
from accounts.admin.team_commands import OF_ORGANIZATION
from accounts.admin.teams import sections_of
from accounts.models import ApiKey, Invitation, Membership, Organization, Session, User
from accounts.services import api_keys, invitations, sessions, staff, users
from accounts.states import EndedReason, InvitationStatus
from core import clock
from core.admin import Call, CommandAction, CommandForm, Effect, Empty, EntityAdmin, Figure, Section
from core.admin.html import NOTHING, link, list_url, moment, state

SHOWN = 10

# Rows of others that nobody edits by hand here: addresses are proven by mail; groups have a page of our own.
for _model in (EmailAddress, EmailConfirmation, Group):
    try:
        admin.site.unregister(_model)
    except NotRegistered:
        continue


def _live_sessions(user: User) -> Any:
    return Session.objects.filter(user=user, ended_at=None, expires_at__gt=clock.now()).order_by("-last_used_at")


def _session_effect(call: Call[User]) -> Effect:
    return Effect("Sessions", _live_sessions(call.obj).count(), 0)


DEACTIVATE: CommandAction[User] = CommandAction(
    "deactivate",
    "Deactivate",
    "accounts.user.manage",
    lambda call: users.deactivate(actor=call.actor, user=call.obj, reason=call.reason, now=call.now),
    is_offered=lambda user: user.is_active,
    preview=lambda call: (Effect("May sign in", "yes", "no"), _session_effect(call)),
    text="Shuts the person out at once. Nothing of theirs is deleted.",
    done="The person may not sign in any more.",
    icon="block",
    is_dangerous=True,
)
REACTIVATE: CommandAction[User] = CommandAction(
    "reactivate",
    "Reactivate",
    "accounts.user.manage",
    lambda call: users.reactivate(actor=call.actor, user=call.obj, reason=call.reason, now=call.now),
    is_offered=lambda user: not user.is_active,
    preview=lambda call: (Effect("May sign in", "no", "yes"),),
    done="The person may sign in again.",
    icon="check_circle",
)
SIGN_OUT: CommandAction[User] = CommandAction(
    "sign-out",
    "Sign out everywhere",
    "accounts.session.end",
    lambda call: sessions.end_all(
        actor=call.actor, user=call.obj, reason=EndedReason.SIGNED_OUT_BY_STAFF, now=call.now
    ),
    is_offered=lambda user: _live_sessions(user).exists(),
    preview=lambda call: (_session_effect(call),),
    text="Ends every session of the API; the tokens stop at once.",
    done="All sessions were ended.",
    icon="logout",
)


class StaffForm(CommandForm):
    """To which groups of staff somebody shall belong."""

    groups = forms.ModelMultipleChoiceField(
        Group.objects.order_by("name"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="The person may what these groups may. With none of them the person is an administrator.",
    )


def _groups(user: User) -> str:
    if user.is_superuser:
        return "everything"
    return ", ".join(user.groups.order_by("name").values_list("name", flat=True)) or "nothing"


def _bounds(call: Call[User]) -> str:
    return ", ".join(group.name for group in call.data["groups"]) or "everything"


GRANT_STAFF: CommandAction[User] = CommandAction(
    "grant-staff-rights",
    "Make a staff member",
    "accounts.staff.manage",
    lambda call: staff.grant(
        actor=call.actor, user=call.obj, reason=call.reason, now=call.now, groups=list(call.data["groups"])
    ),
    form=StaffForm,
    is_offered=lambda user: user.is_active and not user.is_staff,
    preview=lambda call: (Effect("May work in the admin", "no", "yes"), Effect("May", "their own", _bounds(call))),
    text="Lets the person work in the admin.",
    done="The person is a staff member.",
    icon="shield_person",
    is_dangerous=True,
)
CHANGE_GROUPS: CommandAction[User] = CommandAction(
    "change-staff-groups",
    "Change what they may",
    "accounts.staff.manage",
    lambda call: (
        staff.grant(actor=call.actor, user=call.obj, reason=call.reason, now=call.now, groups=list(call.data["groups"]))
        if call.data["groups"]
        else staff.make_administrator(actor=call.actor, user=call.obj, reason=call.reason, now=call.now)
    ),
    form=StaffForm,
    is_offered=lambda user: user.is_active and user.is_staff,
    preview=lambda call: (Effect("May", _groups(call.obj), _bounds(call)),),
    text="Bounds what a staff member may do to groups of staff, or lets them do everything.",
    done="In force at once.",
    icon="shield_lock",
)
REVOKE_STAFF: CommandAction[User] = CommandAction(
    "revoke-staff-rights",
    "Take staff rights",
    "accounts.staff.manage",
    lambda call: staff.revoke(actor=call.actor, user=call.obj, reason=call.reason, now=call.now),
    is_offered=lambda user: user.is_staff,
    preview=lambda call: (Effect("May work in the admin", "yes", "no"), _session_effect(call)),
    text="Takes the rights and ends all sessions, here and in the API, at once.",
    done="The person is no staff member any more.",
    icon="remove_moderator",
    is_dangerous=True,
)
REVOKE_KEY: CommandAction[ApiKey] = CommandAction(
    "revoke",
    "Revoke",
    "accounts.api_key.manage",
    lambda call: api_keys.revoke(actor=call.actor, api_key=call.obj, now=call.now),
    is_offered=lambda key: key.is_live(clock.now()),
    preview=lambda call: (Effect("Opens", _opens(call.obj), "nothing"),),
    text="Shuts the key at once; the programs that use it stop working.",
    done="The key was revoked.",
    icon="key_off",
    is_dangerous=True,
)
REVOKE_INVITATION: CommandAction[Invitation] = CommandAction(
    "revoke",
    "Take back",
    "accounts.invitation.manage",
    lambda call: invitations.revoke(actor=call.actor, invitation=call.obj),
    is_offered=lambda invitation: invitation.status == InvitationStatus.PENDING,
    preview=lambda call: (Effect("Status", state(call.obj.status), state(InvitationStatus.REVOKED)),),
    done="The invitation was taken back.",
    icon="undo",
)


@admin.register(User)
class UserAdmin(EntityAdmin):
    list_display = ("email", "name", "standing", "last_login", "identifier", "created")
    list_filter = ("is_staff", "is_active")
    search_by = ("^email", "^name")
    search_help_text = "E-mail, name or id"
    facts = ("email", "name", "is_staff", "at_desk", "is_active", "last_login", "created_at")
    commands = (SIGN_OUT, GRANT_STAFF, CHANGE_GROUPS, REVOKE_STAFF, DEACTIVATE, REACTIVATE)
    empty = Empty("Nobody yet", "People sign up by the API; staff are made by `manage.py staff`.", icon="person")

    @display(description="State")
    def standing(self, obj: User) -> object:
        return state("staff" if obj.is_staff and obj.is_active else "active" if obj.is_active else "locked")

    @display(description="May at the desk")
    def at_desk(self, obj: User) -> str:
        if not obj.is_staff:
            return NOTHING
        groups = _groups(obj)
        return f"what {groups} may" if obj.staff_groups else groups

    def get_states(self, obj: User) -> Iterable[object]:
        return [self.standing(obj)]

    def get_sections(self, request: HttpRequest, obj: User) -> Sequence[Section]:
        members = obj.memberships.select_related("organization").order_by("-id")[:SHOWN]
        return [
            Section(
                "Organisations",
                ("Organisation", "Role", "Since"),
                [(link(one.organization), state(one.role, "neutral"), moment(one.created_at)) for one in members],
                list_url(Membership, f"user__id__exact={obj.pk}"),
                "Belongs to none.",
                "domain",
                Membership,
            ),
            Section(
                "Devices",
                ("Program", "Address", "Last used", "Signed in"),
                [
                    (
                        one.user_agent[:60] or NOTHING,
                        one.ip or NOTHING,
                        moment(one.last_used_at),
                        moment(one.created_at),
                    )
                    for one in _live_sessions(obj)[:SHOWN]
                ],
                list_url(Session, f"user__id__exact={obj.pk}"),
                "Is signed in nowhere.",
                "devices",
                Session,
            ),
            *tuples_section(self.admin_site.actor_of(request), "user", obj),
        ]


@admin.register(Organization)
class OrganizationAdmin(EntityAdmin):
    list_display = ("name", "slug", "billing_email", "identifier", "created")
    search_by = ("^name", "slug")
    search_help_text = "Name, slug or id"
    facts = ("name", "slug", "billing_email", "created_at")
    commands = OF_ORGANIZATION
    empty = Empty("No organisations yet", "People make them by the API.", icon="domain")

    def get_figures(self, request: HttpRequest, obj: Organization) -> Sequence[Figure]:
        keys = obj.api_keys.filter(revoked_at=None).count()
        return [
            Figure("Members", obj.memberships.count(), of=Membership),
            Figure("API keys", keys, "not revoked", of=ApiKey),
        ]

    def get_sections(self, request: HttpRequest, obj: Organization) -> Sequence[Section]:
        members = obj.memberships.select_related("user").order_by("-id")[:SHOWN]
        invited = obj.invitations.order_by("-id")[:SHOWN]
        keys = obj.api_keys.select_related("service_account").order_by("-id")[:SHOWN]
        return [
            Section(
                "Members",
                ("Person", "Role", "Since"),
                [(link(one.user), state(one.role, "neutral"), moment(one.created_at)) for one in members],
                list_url(Membership, f"organization__id__exact={obj.pk}"),
                "Nobody belongs to it.",
                "group",
                Membership,
            ),
            Section(
                "Invitations",
                ("Address", "Role", "Status", "Until"),
                [
                    (link(one, one.email), state(one.role, "neutral"), state(one.status), moment(one.expires_at))
                    for one in invited
                ],
                list_url(Invitation, f"organization__id__exact={obj.pk}"),
                "Nobody was invited.",
                "mail",
                Invitation,
            ),
            Section(
                "API keys",
                ("Name", "Scopes", "State", "Last used"),
                [(link(one), _opens(one), _key_state(one), moment(one.last_used_at)) for one in keys],
                list_url(ApiKey, f"organization__id__exact={obj.pk}"),
                "No program has a key.",
                "key",
                ApiKey,
            ),
            *sections_of(obj),
            *tuples_section(self.admin_site.actor_of(request), "organization", obj),
        ]


@admin.register(Membership)
class MembershipAdmin(EntityAdmin):
    list_display = ("user", "organization", "role", "identifier", "created")
    list_filter = ("role",)
    related = ("user", "organization")
    facts = ("user", "organization", "role", "created_at")
    empty = Empty("No members yet", "Whoever makes an organisation is its first.", icon="group")


@admin.register(Invitation)
class InvitationAdmin(EntityAdmin):
    list_display = ("email", "organization", "role", "standing", "expires_at", "identifier")
    list_filter = ("status",)
    related = ("organization",)
    facts = ("email", "organization", "role", "status", "expires_at", "invited_by", "accepted_by", "accepted_at")
    commands = (REVOKE_INVITATION,)
    empty = Empty("No invitations yet", "Members with the right send them by the API.", icon="mail")

    @display(description="Status")
    def standing(self, obj: Invitation) -> object:
        is_late = obj.status == InvitationStatus.PENDING and obj.expires_at <= clock.now()
        return state("expired" if is_late else obj.status)

    def get_states(self, obj: Invitation) -> Iterable[object]:
        return [self.standing(obj)]


@admin.register(Session)
class SessionAdmin(EntityAdmin):
    list_display = ("user", "user_agent", "ip", "last_used_at", "standing", "identifier")
    list_filter = ("ended_reason",)
    related = ("user",)
    facts = ("user", "user_agent", "ip", "created_at", "last_used_at", "expires_at", "ended_at", "ended_reason")
    empty = Empty("Nobody is signed in to the API", icon="devices")

    @display(description="State")
    def standing(self, obj: Session) -> object:
        return state("active" if obj.is_live(clock.now()) else "ended")


@admin.register(ApiKey)
class ApiKeyAdmin(EntityAdmin):
    list_display = ("name", "organization", "standing", "expires_at", "last_used_at", "identifier")
    related = ("organization", "created_by", "service_account")
    facts = (
        "name",
        "organization",
        "service_account",
        "lookup",
        "scopes",
        "expires_at",
        "last_used_at",
        "revoked_at",
        "created_by",
    )
    commands = (REVOKE_KEY,)
    empty = Empty("No API keys yet", "Organisations make them by the API.", icon="key")

    @display(description="State")
    def standing(self, obj: ApiKey) -> object:
        return _key_state(obj)

    def get_states(self, obj: ApiKey) -> Iterable[object]:
        return [self.standing(obj)]


def _key_state(key: ApiKey) -> object:
    return state("active" if key.is_live(clock.now()) else "revoked" if key.revoked_at else "expired")


def _opens(key: ApiKey) -> object:
    """What a key lets in to: its scopes, or what a service account may."""
    return link(key.service_account) if key.service_account is not None else ", ".join(key.scopes)
