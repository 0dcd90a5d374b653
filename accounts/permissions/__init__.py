"""What may be done to people and organisations; and the questions of permission that anybody may ask:

from accounts import permissions
permissions.check("user:0190…", "billing.invoice.view", "organization:0190…")   # see `asking`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.access import Permission

if TYPE_CHECKING:
    from accounts.permissions.asking import (
        check,
        check_many,
        delete,
        expand,
        explain,
        grant,
        list_objects,
        list_users,
        revoke,
        write,
    )


USER_VIEW = Permission("accounts.user.view", "See a person.")
USER_EDIT = Permission("accounts.user.edit", "Change a person's name.")
USER_MANAGE = Permission("accounts.user.manage", "Deactivate and reactivate people.")
STAFF_MANAGE = Permission("accounts.staff.manage", "Grant and revoke staff rights.")
SESSION_END = Permission("accounts.session.end", "Sign a person out.")

ORGANIZATION_VIEW = Permission("accounts.organization.view", "See an organisation.")
ORGANIZATION_EDIT = Permission("accounts.organization.edit", "Change an organisation's name and addresses.")
MEMBERSHIP_VIEW = Permission("accounts.membership.view", "See who belongs to an organisation.")
MEMBERSHIP_MANAGE = Permission("accounts.membership.manage", "Change roles and remove members.")
OWNERSHIP_MANAGE = Permission("accounts.ownership.manage", "Make owners and unmake them.")
INVITATION_VIEW = Permission("accounts.invitation.view", "See invitations.")
INVITATION_MANAGE = Permission("accounts.invitation.manage", "Invite people and take invitations back.")
API_KEY_VIEW = Permission("accounts.api_key.view", "See API keys (never their secrets).")
API_KEY_MANAGE = Permission("accounts.api_key.manage", "Make, rotate and revoke API keys.")

TEAM_VIEW = Permission("accounts.team.view", "See teams and who belongs to them.")
TEAM_MANAGE = Permission("accounts.team.manage", "Make, rename and delete teams; add and remove members.")
CUSTOM_ROLE_VIEW = Permission("accounts.custom_role.view", "See custom roles and who holds them.")
CUSTOM_ROLE_MANAGE = Permission(
    "accounts.custom_role.manage", "Make, change and delete custom roles; give and take them."
)
SERVICE_ACCOUNT_VIEW = Permission("accounts.service_account.view", "See service accounts.")
SERVICE_ACCOUNT_MANAGE = Permission(
    "accounts.service_account.manage", "Make, change, deactivate and reactivate service accounts."
)
SHARE_MANAGE = Permission("accounts.share.manage", "Share single things, see with whom, and take it back.")

# The relationship engine. People and keys that are not staff may ask about themselves without any of these.
PERMISSION_ASK = Permission("accounts.permission.ask", "Ask what anybody may do, and why.")
PERMISSION_MODEL_VIEW = Permission("accounts.permission_model.view", "See permission models.")
PERMISSION_MODEL_CREATE = Permission("accounts.permission_model.create", "Replace the permission model.")
RELATION_TUPLE_VIEW = Permission("accounts.relation_tuple.view", "See relation tuples and their changes.")
RELATION_TUPLE_WRITE = Permission("accounts.relation_tuple.write", "Write and delete relation tuples.")


def __getattr__(name: str) -> Any:
    """Load the engine when it is first asked: its tables are not there yet while permissions are declared."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from accounts.permissions import asking

    return getattr(asking, name)


__all__ = [
    "check",
    "check_many",
    "delete",
    "expand",
    "explain",
    "grant",
    "list_objects",
    "list_users",
    "revoke",
    "write",
]
