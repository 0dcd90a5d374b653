"""Teams, custom roles, service accounts and shares in the admin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest
from unfold.decorators import display

from accounts.admin import team_commands as do
from accounts.models import (
    ApiKey,
    CustomRole,
    Organization,
    RoleAssignment,
    ServiceAccount,
    Share,
    Team,
    TeamMember,
)
from accounts.permissions import product
from accounts.selectors import shareable
from core.admin import Empty, EntityAdmin, Section
from core.admin.additions import Addition, additions
from core.admin.html import NOTHING, link, list_url, moment, state
from core.exports.columns import Kind, exports_as
from core.models import Entity

SHOWN = 10


def sections_of(organization: Organization) -> list[Section]:
    """Return what stands on the page of an organisation."""
    only = f"organization__id__exact={organization.pk}"
    accounts = organization.service_accounts.order_by("-id")[:SHOWN]
    shared = organization.shares.select_related("user", "team", "service_account").order_by("-id")[:SHOWN]
    return [
        Section(
            "Teams",
            ("Team", "Members", "Since"),
            [
                (link(one), one.member_count, moment(one.created_at))
                for one in organization.teams.annotate(member_count=Count("members")).order_by("-id")[:SHOWN]
            ],
            list_url(Team, only),
            "It has no teams.",
            "groups",
            Team,
        ),
        Section(
            "Custom roles",
            ("Role", "Permissions", "Given to"),
            [
                (link(one), len(one.permissions), one.holder_count)
                for one in organization.custom_roles.annotate(holder_count=Count("assignments")).order_by("-id")[:SHOWN]
            ],
            list_url(CustomRole, only),
            "It made no roles of its own.",
            "badge",
            CustomRole,
        ),
        Section(
            "Service accounts",
            ("Name", "Role", "State"),
            [(link(one), state(one.role, "neutral"), _account_state(one)) for one in accounts],
            list_url(ServiceAccount, only),
            "No program has an account.",
            "smart_toy",
            ServiceAccount,
        ),
        Section(
            "Shared",
            ("What", "With whom", "Since"),
            [(link(one, shareable.public_id_of(one)), str(one.recipient), moment(one.created_at)) for one in shared],
            list_url(Share, only),
            "Nothing is shared.",
            "share",
            Share,
        ),
    ]


def _held(what: str, **by: object) -> Section:
    rows = RoleAssignment.objects.select_related("role").filter(**by).order_by("-id")[:SHOWN]
    return Section(
        "Custom roles",
        ("Role", "Since"),
        [(link(one, one.role.name), moment(one.created_at)) for one in rows],
        empty=f"The {what} has no custom roles.",
        icon="badge",
        of=CustomRole,
    )


def _account_state(account: ServiceAccount) -> object:
    return state("active" if account.is_active else "locked")


@admin.register(Team)
class TeamAdmin(EntityAdmin):
    list_display = ("name", "organization", "identifier", "created")
    search_by = ("^name",)
    search_help_text = "Name or id"
    related = ("organization",)
    facts = ("name", "organization", "created_at")
    commands = (do.ADD_MEMBER, do.RENAME_TEAM, do.DELETE_TEAM)
    empty = Empty("No teams yet", "Organisations make them by the API, or you on their page.", icon="groups")

    def get_sections(self, request: HttpRequest, obj: Team) -> Sequence[Section]:
        members = obj.members.select_related("user", "service_account").order_by("-id")[:SHOWN]
        return [
            Section(
                "Members",
                ("Who", "Since"),
                [(link(one, str(one.member)), moment(one.created_at)) for one in members],
                list_url(TeamMember, f"team__id__exact={obj.pk}"),
                "Nobody belongs to it.",
                "group",
            ),
            _held("team", team=obj),
        ]


@admin.register(TeamMember)
class TeamMemberAdmin(EntityAdmin):
    view_permission = "accounts.team.view"
    list_display = ("who", "team", "identifier", "created")
    related = ("team", "user", "service_account")
    facts = ("team", "user", "service_account", "created_at")
    commands = (do.REMOVE_MEMBER,)

    @display(description="Who")
    def who(self, obj: TeamMember) -> str:
        return str(obj.member)


@admin.register(CustomRole)
class CustomRoleAdmin(EntityAdmin):
    list_display = ("name", "organization", "identifier", "created")
    search_by = ("^name",)
    search_help_text = "Name or id"
    related = ("organization",)
    facts = ("name", "organization", "description", "permissions", "created_at")
    commands = (do.ASSIGN_ROLE, do.CHANGE_ROLE, do.DELETE_ROLE)
    empty = Empty("No custom roles yet", "Organisations make them by the API, or you on their page.", icon="badge")

    def get_sections(self, request: HttpRequest, obj: CustomRole) -> Sequence[Section]:
        held = obj.assignments.select_related("user", "team", "service_account").order_by("-id")[:SHOWN]
        return [
            Section(
                "Given to",
                ("Who", "Since"),
                [(link(one, str(one.recipient)), moment(one.created_at)) for one in held],
                list_url(RoleAssignment, f"role__id__exact={obj.pk}"),
                "Nobody holds it.",
                "group",
            )
        ]


@admin.register(RoleAssignment)
class RoleAssignmentAdmin(EntityAdmin):
    view_permission = "accounts.custom_role.view"
    list_display = ("who", "role", "identifier", "created")
    related = ("role", "user", "team", "service_account")
    facts = ("role", "user", "team", "service_account", "created_at")
    commands = (do.UNASSIGN_ROLE,)

    @display(description="Who")
    def who(self, obj: RoleAssignment) -> str:
        return str(obj.recipient)


@admin.register(ServiceAccount)
class ServiceAccountAdmin(EntityAdmin):
    list_display = ("name", "organization", "role", "standing", "identifier", "created")
    search_by = ("^name",)
    search_help_text = "Name or id"
    list_filter = ("role",)
    related = ("organization", "created_by")
    facts = ("name", "organization", "role", "deactivated_at", "created_by", "created_at")
    commands = (do.CHANGE_SERVICE_ACCOUNT, do.DEACTIVATE, do.REACTIVATE)
    empty = Empty("No service accounts yet", "Organisations make them by the API.", icon="smart_toy")

    @display(description="State")
    def standing(self, obj: ServiceAccount) -> object:
        return _account_state(obj)

    def get_states(self, obj: ServiceAccount) -> Iterable[object]:
        return [_account_state(obj)]

    def get_sections(self, request: HttpRequest, obj: ServiceAccount) -> Sequence[Section]:
        keys = obj.api_keys.order_by("-id")[:SHOWN]
        return [
            Section(
                "API keys",
                ("Name", "Last used", "Revoked"),
                [(link(one), moment(one.last_used_at), moment(one.revoked_at)) for one in keys],
                list_url(ApiKey, f"service_account__id__exact={obj.pk}"),
                "It has no keys.",
                "key",
                ApiKey,
            ),
            _held("service account", service_account=obj),
        ]


@admin.register(Share)
class ShareAdmin(EntityAdmin):
    list_display = ("shared", "who", "organization", "identifier", "created")
    related = ("organization", "user", "team", "service_account", "created_by")
    facts = ("shared", "organization", "user", "team", "service_account", "created_by", "created_at")
    commands = (do.REVOKE_SHARE,)
    empty = Empty(
        "Nothing is shared yet", "Organisations share by the API, or you on the page of the thing.", icon="share"
    )

    @exports_as(Kind.LINK)
    @display(description="What")
    def shared(self, obj: Share) -> object:
        model: Any = shareable.model_of(obj)
        return link(model(pk=obj.object_id), shareable.public_id_of(obj))

    @display(description="With whom")
    def who(self, obj: Share) -> str:
        return str(obj.recipient)

    def get_title(self, obj: Share) -> object:
        return f"{shareable.public_id_of(obj)} for {obj.recipient}"


def _shared_with(row: Entity) -> Section:
    rows = Share.objects.select_related("user", "team", "service_account").filter(
        object_type=product.type_of(type(row)), object_id=row.pk
    )
    return Section(
        "Shared with",
        ("Who", "Since", ""),
        [
            (link(one.recipient), moment(one.created_at), link(one, "Share") or NOTHING)
            for one in rows.order_by("-id")[:SHOWN]
        ],
        empty="Only its organisation sees it.",
        icon="share",
        of=Share,
    )


additions.append(
    Addition(
        lambda model: issubclass(model, Entity) and shareable.is_shareable(model), _shared_with, commands=(do.SHARE,)
    )
)
