"""The tables of accounts: people and what lets them in, what an organisation gives them, and the permission engine."""

from accounts.models.people import (
    ROLE_CHOICES,
    ApiKey,
    Invitation,
    Membership,
    Organization,
    RefreshToken,
    Session,
    User,
    UserManager,
)
from accounts.models.teams import CustomRole, Recipient, RoleAssignment, ServiceAccount, Share, Team, TeamMember

# The engine of relationship permissions keeps its tables beside its own code.
from accounts.permissions.models import (
    OpenFGACopy,
    PermissionHop,
    PermissionModel,
    PermissionNode,
    PermissionStore,
    RelationChange,
    RelationTuple,
)

__all__ = [
    "ROLE_CHOICES",
    "ApiKey",
    "CustomRole",
    "Invitation",
    "Membership",
    "OpenFGACopy",
    "Organization",
    "PermissionHop",
    "PermissionModel",
    "PermissionNode",
    "PermissionStore",
    "Recipient",
    "RefreshToken",
    "RelationChange",
    "RelationTuple",
    "RoleAssignment",
    "ServiceAccount",
    "Session",
    "Share",
    "Team",
    "TeamMember",
    "User",
    "UserManager",
]
