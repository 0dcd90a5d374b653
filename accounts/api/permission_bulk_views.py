"""Many members of an organisation at once."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from accounts.api.views import OwnedViewSet
from accounts.errors import NotEveryMemberChanged
from accounts.models import ROLE_CHOICES, Membership, User
from accounts.services import bulk_memberships
from accounts.services.bulk_memberships import Answer, Direction, Result
from core.access import Role
from core.api.fields import PublicIdField
from core.api.requests import Request
from core.api.serializers import InputSerializer
from core.api.viewsets import operation
from core.errors import InvalidInput

_MOST = 500
_ROLES = [role for role, _ in ROLE_CHOICES]


class BulkInput(InputSerializer):
    operation = serializers.ChoiceField([str(direction) for direction in Direction])
    role = serializers.ChoiceField(ROLE_CHOICES, required=False, help_text="To revoke any role, leave it out.")
    users = serializers.ListField(
        child=serializers.CharField(max_length=254, allow_blank=True),
        min_length=1,
        max_length=_MOST,
        help_text="Ids or e-mail addresses.",
    )
    is_strict = serializers.BooleanField(
        default=False, help_text="All or nobody: 409 names everybody that stands in the way."
    )


class BulkAnswer(serializers.Serializer[Any]):
    user = serializers.CharField(help_text="As the request named them.")
    user_id = PublicIdField(User, allow_null=True)
    result = serializers.ChoiceField([str(result) for result in Result])
    previous_role = serializers.ChoiceField(_ROLES, allow_null=True)
    role = serializers.ChoiceField(_ROLES, allow_null=True, help_text="What they are now; null for no member.")
    reason = serializers.CharField(
        required=False, help_text="Why they were rejected: `last_owner`, `owners_only`, `permission_not_held`."
    )
    detail = serializers.CharField(required=False)


class BulkReply(serializers.Serializer[Any]):
    """What became of each person, in the order of the request."""

    results = BulkAnswer(many=True)


class BulkMembershipViewSet(OwnedViewSet):
    tag = "permissions"
    queryset = Membership.objects.all()
    view_permission = "accounts.membership.view"

    @operation(
        request=BulkInput,
        response=BulkReply,
        errors=(NotEveryMemberChanged,),
        examples=[
            OpenApiExample(
                "Two new viewers",
                {
                    "operation": "grant",
                    "role": "viewer",
                    "users": ["ann@example.com", "usr_01h455vb4pex5vsknk084sn02q"],
                },
                request_only=True,
            )
        ],
        operation_id="permissions_organizations_users_bulk",
        summary="Grant many people a role in an organisation, or revoke it",
    )
    def bulk(self, request: Request, **kwargs: Any) -> dict[str, Any]:
        """For administrators of the organisation. `created`: they have the role now; `unchanged`: they had it, or are
        named twice; `removed`; `not_member`: they had not what was to be revoked; `unknown_user`; `rejected`."""
        data = self.input()
        if data["operation"] == Direction.GRANT and "role" not in data:
            raise InvalidInput.at("/role", "Which role is to be granted?", "needs_role")
        answers = bulk_memberships.change_many(
            actor=request.actor,
            organization=self.organization,
            direction=Direction(data["operation"]),
            role=Role(data["role"]) if "role" in data else None,
            users=data["users"],
            is_strict=data["is_strict"],
        )
        return {"results": list(map(_shown, answers))}


def _shown(answer: Answer) -> dict[str, Any]:
    return {
        "user": answer.user,
        "user_id": answer.person_id,
        "result": answer.result,
        "previous_role": answer.previous_role,
        "role": answer.role,
        **({"reason": answer.reason, "detail": answer.detail} if answer.reason else {}),
    }
