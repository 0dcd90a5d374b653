"""How teams, custom roles, service accounts and shares travel."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import (
    CustomRole,
    Organization,
    Recipient,
    RoleAssignment,
    ServiceAccount,
    Share,
    Team,
    TeamMember,
    User,
)
from accounts.models.teams import SERVICE_ROLE_CHOICES
from accounts.selectors.shareable import public_id_of
from core.api.fields import ID_SUFFIX, PublicIdField
from core.api.serializers import EntitySerializer, InputSerializer

_LONGEST_ID = 40  # characters
_NAME: dict[str, Any] = {"max_length": 100}


# What an e-mail address is made of: said so that Python and ECMAScript, in which schemas speak, mean the same.
_WORD = r"[^@\s\x00-\x1f\x7f-\xa0]+"
_NO_ROLE = ("", "None")


class AnyIdField(serializers.RegexField):
    """A public id of one of several kinds; whom it means is asked of `accounts.selectors.recipients`."""

    def __init__(self, *kinds: str, **kwargs: Any) -> None:
        forms = " or ".join(f"'{kind}_…'" for kind in kinds)
        super().__init__(
            rf"^({'|'.join(kinds)})_{ID_SUFFIX}$",
            max_length=_LONGEST_ID,
            error_messages={"invalid": f"This is not an id of the form {forms}."},
            **kwargs,
        )


# --- teams -----------------------------------------------------------------------------------------------------------


class TeamSerializer(EntitySerializer):
    id = PublicIdField(Team, read_only=True)
    organization_id = PublicIdField(Organization, read_only=True)

    class Meta:
        model = Team
        fields = ["id", "organization_id", "name", "created_at", "updated_at"]
        read_only_fields = fields


class NameInput(InputSerializer):
    name = serializers.CharField(**_NAME)


class TeamMemberSerializer(EntitySerializer):
    """A person or a service account in a team: one of the two ids is null."""

    id = PublicIdField(TeamMember, read_only=True)
    team_id = PublicIdField(Team, read_only=True)
    user_id = PublicIdField(User, read_only=True, allow_null=True)
    service_account_id = PublicIdField(ServiceAccount, read_only=True, allow_null=True)
    name = serializers.SerializerMethodField()
    email = serializers.SerializerMethodField(help_text="Empty for a service account.")

    class Meta:
        model = TeamMember
        fields = ["id", "team_id", "user_id", "service_account_id", "name", "email", "created_at"]
        read_only_fields = fields

    def get_name(self, row: TeamMember) -> str:
        return row.member.name

    def get_email(self, row: TeamMember) -> str:
        return row.user.email if row.user else ""


class TeamMemberInput(InputSerializer):
    member_id = AnyIdField("usr", "sva", help_text="A member of the organisation, or one of its service accounts.")


class RecipientFields(serializers.Serializer):  # type: ignore[type-arg]
    """To whom something was given: one of the three ids is set."""

    user_id = PublicIdField(User, read_only=True, allow_null=True)
    team_id = PublicIdField(Team, read_only=True, allow_null=True)
    service_account_id = PublicIdField(ServiceAccount, read_only=True, allow_null=True)
    name = serializers.SerializerMethodField()
    email = serializers.SerializerMethodField(help_text="Empty for a team and a service account.")

    def get_name(self, row: Recipient) -> str:
        return row.recipient.name

    def get_email(self, row: Recipient) -> str:
        return row.user.email if row.user else ""


RECIPIENT_FIELDS = ["user_id", "team_id", "service_account_id", "name", "email"]


# --- custom roles ----------------------------------------------------------------------------------------------------


class GrantableSerializer(serializers.Serializer[None]):
    """A permission that a custom role may have."""

    name = serializers.CharField()
    text = serializers.CharField(help_text="What it lets one do.")
    is_held = serializers.BooleanField(help_text="Whether you hold it: nobody gives what they do not hold.")


class GrantablesReply(serializers.Serializer[None]):
    data = GrantableSerializer(many=True)  # type: ignore[assignment]


class CustomRoleSerializer(EntitySerializer):
    id = PublicIdField(CustomRole, read_only=True)
    organization_id = PublicIdField(Organization, read_only=True)

    class Meta:
        model = CustomRole
        fields = ["id", "organization_id", "name", "description", "permissions", "created_at", "updated_at"]
        read_only_fields = fields


def _permissions(**options: Any) -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(max_length=80), min_length=1, max_length=200, **options)


class CustomRoleInput(InputSerializer):
    name = serializers.CharField(**_NAME)
    description = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)
    permissions = _permissions()


class CustomRoleChange(InputSerializer):
    name = serializers.CharField(required=False, **_NAME)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    permissions = _permissions(required=False, help_text="All that it shall have from now on.")


class RoleAssignmentSerializer(RecipientFields, EntitySerializer):
    id = PublicIdField(RoleAssignment, read_only=True)
    role_id = PublicIdField(CustomRole, read_only=True)

    class Meta:
        model = RoleAssignment
        fields = ["id", "role_id", *RECIPIENT_FIELDS, "created_at"]
        read_only_fields = fields


class RoleAssignmentInput(InputSerializer):
    assignee_id = AnyIdField("usr", "tem", "sva", help_text="A member, a team or a service account.")


# --- service accounts ------------------------------------------------------------------------------------------------


class ServiceAccountSerializer(EntitySerializer):
    id = PublicIdField(ServiceAccount, read_only=True)
    organization_id = PublicIdField(Organization, read_only=True)
    role = serializers.ChoiceField(choices=[_NO_ROLE, *SERVICE_ROLE_CHOICES], read_only=True)

    class Meta:
        model = ServiceAccount
        fields = ["id", "organization_id", "name", "role", "deactivated_at", "created_at", "updated_at"]
        read_only_fields = fields


def _service_role(**options: Any) -> serializers.ChoiceField:
    text = "What it is to the organisation; empty for what custom roles, teams and shares give alone."
    return serializers.ChoiceField(
        choices=SERVICE_ROLE_CHOICES, required=False, allow_blank=True, help_text=text, **options
    )


class ServiceAccountInput(InputSerializer):
    name = serializers.CharField(**_NAME)
    role = _service_role(default="")


class ServiceAccountChange(InputSerializer):
    name = serializers.CharField(required=False, **_NAME)
    role = _service_role()


# --- shares ----------------------------------------------------------------------------------------------------------


class ShareSerializer(RecipientFields, EntitySerializer):
    id = PublicIdField(Share, read_only=True)
    object = serializers.SerializerMethodField(help_text="The id of what is shared.")
    organization_id = PublicIdField(Organization, read_only=True)
    name = serializers.SerializerMethodField(help_text="Empty for a person, who may be of another organisation.")

    class Meta:
        model = Share
        fields = ["id", "object", "organization_id", *RECIPIENT_FIELDS, "created_at"]
        read_only_fields = fields

    def get_name(self, row: Recipient) -> str:
        return "" if row.user else row.recipient.name

    def get_object(self, row: Share) -> str:
        return public_id_of(row)


class ShareInput(InputSerializer):
    object = serializers.RegexField(
        rf"^[a-z]{{2,8}}_{ID_SUFFIX}$",
        max_length=_LONGEST_ID,
        help_text="The id of a row of an organisation: `inv_…`.",
        error_messages={"invalid": "This is not an id."},
    )

    def get_fields(self) -> dict[str, Any]:
        """`with` is a word of Python's own and can be no attribute."""
        whom = serializers.RegexField(
            rf"^({_WORD}@{_WORD}|(usr|tem|sva)_{ID_SUFFIX})$",
            max_length=254,
            help_text="An e-mail address, or one of the organisation by id (`usr_…`, `tem_…`, `sva_…`).",
            error_messages={"invalid": "This is neither an e-mail address nor an id (usr_…, tem_…, sva_…)."},
        )
        return {**super().get_fields(), "with": whom}
