"""How people, sessions, organisations and keys travel."""

from __future__ import annotations

from rest_framework import serializers

from accounts.models import ROLE_CHOICES, ApiKey, Invitation, Membership, Organization, ServiceAccount, Session, User
from core.api.fields import PublicIdField, PublicIdRelatedField
from core.api.serializers import EntitySerializer, InputSerializer

_LONGEST_PASSWORD = 1024  # characters; argon2 reads them all


def password_field() -> serializers.CharField:
    """A password, exactly as typed: nothing trimmed, nothing cleaned."""
    return serializers.CharField(trim_whitespace=False, max_length=_LONGEST_PASSWORD)


# --- signing up and in ---------------------------------------------------------------------------------------------


class SignUpInput(InputSerializer):
    email = serializers.EmailField(max_length=254)
    password = password_field()
    name = serializers.CharField(max_length=150, required=False, default="", allow_blank=True)


class EmailInput(InputSerializer):
    email = serializers.EmailField(max_length=254)


class TokenInput(InputSerializer):
    token = serializers.CharField(max_length=500)


class LoginInput(InputSerializer):
    email = serializers.CharField(max_length=254)
    password = password_field()


class RefreshInput(InputSerializer):
    refresh_token = serializers.CharField(max_length=200)


class PasswordResetConfirmInput(InputSerializer):
    token = serializers.CharField(max_length=500)
    password = password_field()


class PasswordChangeInput(InputSerializer):
    current_password = password_field()
    new_password = password_field()


class StatusReply(serializers.Serializer[None]):
    """What happens next, for whoever asks alike."""

    status = serializers.ChoiceField(choices=["verification_pending", "verified", "mail_sent", "password_changed"])


class TokenReply(serializers.Serializer[None]):
    """`expires_in`: seconds that the access token holds."""

    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    token_type = serializers.ChoiceField(choices=["Bearer"])
    expires_in = serializers.IntegerField()


class EndedReply(serializers.Serializer[None]):
    ended = serializers.IntegerField(help_text="How many sessions were ended.")


class JwksReply(serializers.Serializer[None]):
    keys = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))


# --- people and their sessions -------------------------------------------------------------------------------------


class SessionSerializer(EntitySerializer):
    """A device on which one is signed in."""

    id = PublicIdField(Session, read_only=True)
    is_current = serializers.BooleanField(read_only=True, help_text="The one that asks.")

    class Meta:
        model = Session
        fields = ["id", "user_agent", "ip", "created_at", "last_used_at", "expires_at", "is_current"]
        read_only_fields = fields


class MeSerializer(EntitySerializer):
    """Who asks."""

    id = PublicIdField(User, read_only=True)

    class Meta:
        model = User
        fields = ["id", "email", "name", "is_staff", "created_at"]
        read_only_fields = fields


class MeInput(InputSerializer):
    name = serializers.CharField(max_length=150, allow_blank=True)


# --- organisations ---------------------------------------------------------------------------------------------------


class OrganizationSerializer(EntitySerializer):
    id = PublicIdField(Organization, read_only=True)

    class Meta:
        model = Organization
        fields = ["id", "name", "slug", "billing_email", "created_at", "updated_at"]
        read_only_fields = fields


class OrganizationInput(InputSerializer):
    name = serializers.CharField(max_length=200)
    billing_email = serializers.EmailField(required=False, allow_blank=True, default="")


class OrganizationChange(InputSerializer):
    name = serializers.CharField(max_length=200, required=False)
    billing_email = serializers.EmailField(required=False, allow_blank=True)


class MembershipSerializer(EntitySerializer):
    id = PublicIdField(Membership, read_only=True)
    user_id = serializers.SerializerMethodField()
    email = serializers.CharField(source="user.email", read_only=True)
    name = serializers.CharField(source="user.name", read_only=True)

    class Meta:
        model = Membership
        fields = ["id", "user_id", "email", "name", "role", "created_at", "updated_at"]
        read_only_fields = fields

    def get_user_id(self, member: Membership) -> str:
        return member.user.public_id


class RoleInput(InputSerializer):
    role = serializers.ChoiceField(choices=ROLE_CHOICES)


class InvitationSerializer(EntitySerializer):
    id = PublicIdField(Invitation, read_only=True)

    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "status", "expires_at", "accepted_at", "created_at"]
        read_only_fields = fields


class InvitationInput(InputSerializer):
    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(choices=ROLE_CHOICES)


class ApiKeySerializer(EntitySerializer):
    id = PublicIdField(ApiKey, read_only=True)
    service_account_id = PublicIdField(ServiceAccount, read_only=True, allow_null=True)
    hint = serializers.SerializerMethodField(help_text="How the key begins.")

    class Meta:
        model = ApiKey
        fields = ["id", "name", "hint", "scopes", "service_account_id", "expires_at", "last_used_at", "revoked_at"]
        fields += ["created_at"]
        read_only_fields = fields

    def get_hint(self, key: ApiKey) -> str:
        return f"ck_live_{key.lookup}…"


class ApiKeyInput(InputSerializer):
    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=80),
        max_length=50,
        required=False,
        default=list,
        help_text="What the key may do: at least one, unless it is for a service account.",
    )
    service_account_id = PublicIdRelatedField(
        ServiceAccount.objects.all(),
        source="service_account",
        required=False,
        allow_null=True,
        default=None,
        help_text="As whom the key acts; it has no scopes of its own then.",
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class ApiKeySecretSerializer(ApiKeySerializer):
    """A key with its text, which is shown this once."""

    key = serializers.CharField(read_only=True)

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]
        read_only_fields = fields
