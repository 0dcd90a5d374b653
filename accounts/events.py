"""What happens to people, organisations, sessions and keys."""

from __future__ import annotations

from core.events import EventType

_NAMES = ("before.name", "after.name")

USER_SIGNED_UP = EventType(
    "accounts.user.signed_up", "user", "Somebody signed up.", personal=("after.email", "after.name")
)
USER_CREATED = EventType(
    "accounts.user.created", "user", "A person was entered by staff.", personal=("after.email", "after.name")
)
USER_EMAIL_VERIFIED = EventType("accounts.user.email_verified", "user", "A person proved that an address is theirs.")
USER_UPDATED = EventType("accounts.user.updated", "user", "A person's details changed.", personal=_NAMES)
USER_PASSWORD_CHANGED = EventType("accounts.user.password_changed", "user", "A person changed their password.")
USER_PASSWORD_RESET = EventType("accounts.user.password_reset", "user", "A person reset their password by mail.")
USER_PASSWORD_SET = EventType(
    "accounts.user.password_set", "user", "Somebody else gave a person a new password; their sessions ended."
)
USER_PASSWORD_RESET_REQUESTED = EventType(
    "accounts.user.password_reset_requested", "user", "A mail to reset the password was asked for."
)
USER_DEACTIVATED = EventType("accounts.user.deactivated", "user", "A person may not sign in any more.")
USER_REACTIVATED = EventType("accounts.user.reactivated", "user", "A person may sign in again.")

SESSION_STARTED = EventType(
    "accounts.session.started", "session", "A person signed in.", personal=("data.ip", "data.user_agent")
)
SESSION_ENDED = EventType("accounts.session.ended", "session", "A session ended.")
STAFF_RIGHTS_GRANTED = EventType("accounts.user.staff_rights_granted", "user", "A person became a staff member.")
STAFF_RIGHTS_REVOKED = EventType(
    "accounts.user.staff_rights_revoked", "user", "A person is no staff member any more; their sessions ended."
)
STAFF_BOUNDED = EventType(
    "accounts.user.staff_groups_changed", "user", "What a staff member may do was bounded by other groups, or by none."
)
STAFF_GROUP_CHANGED = EventType("accounts.staff_group.changed", "staff_group", "What a group of staff may do changed.")
STAFF_GROUP_DELETED = EventType("accounts.staff_group.deleted", "staff_group", "A group of staff was removed.")
STAFF_SIGNED_IN = EventType("accounts.user.signed_in_to_admin", "user", "A staff member signed in to the admin.")

ORGANIZATION_CREATED = EventType("accounts.organization.created", "organization", "An organisation was made.")
ORGANIZATION_UPDATED = EventType("accounts.organization.updated", "organization", "An organisation's details changed.")

MEMBERSHIP_CREATED = EventType("accounts.membership.created", "membership", "A person joined an organisation.")
MEMBERSHIP_ROLE_CHANGED = EventType("accounts.membership.role_changed", "membership", "A member's role changed.")
MEMBERSHIP_REMOVED = EventType("accounts.membership.removed", "membership", "A person left an organisation.")

INVITATION_CREATED = EventType(
    "accounts.invitation.created", "invitation", "Somebody was invited.", personal=("after.email",)
)
INVITATION_REVOKED = EventType("accounts.invitation.revoked", "invitation", "An invitation was taken back.")
INVITATION_ACCEPTED = EventType("accounts.invitation.accepted", "invitation", "An invitation was accepted.")

API_KEY_CREATED = EventType("accounts.api_key.created", "apikey", "An API key was made.")
API_KEY_ROTATED = EventType("accounts.api_key.rotated", "apikey", "An API key got a new secret.")
API_KEY_REVOKED = EventType("accounts.api_key.revoked", "apikey", "An API key was revoked.")

TEAM_CREATED = EventType("accounts.team.created", "team", "A team was made.")
TEAM_RENAMED = EventType("accounts.team.renamed", "team", "A team got another name.")
TEAM_DELETED = EventType("accounts.team.deleted", "team", "A team was deleted; what it was given is taken back.")
TEAM_MEMBER_ADDED = EventType("accounts.team_member.added", "teammember", "Somebody joined a team.")
TEAM_MEMBER_REMOVED = EventType("accounts.team_member.removed", "teammember", "Somebody left a team.")

CUSTOM_ROLE_CREATED = EventType("accounts.custom_role.created", "customrole", "An organisation made a role of its own.")
CUSTOM_ROLE_UPDATED = EventType(
    "accounts.custom_role.updated", "customrole", "The name or the permissions of a custom role changed."
)
CUSTOM_ROLE_DELETED = EventType(
    "accounts.custom_role.deleted", "customrole", "A custom role was deleted; nobody holds it any more."
)
ROLE_ASSIGNED = EventType("accounts.role_assignment.created", "roleassignment", "Somebody was given a custom role.")
ROLE_UNASSIGNED = EventType(
    "accounts.role_assignment.removed", "roleassignment", "A custom role was taken from somebody."
)

SERVICE_ACCOUNT_CREATED = EventType("accounts.service_account.created", "serviceaccount", "A service account was made.")
SERVICE_ACCOUNT_UPDATED = EventType(
    "accounts.service_account.updated", "serviceaccount", "The name or the role of a service account changed."
)
SERVICE_ACCOUNT_DEACTIVATED = EventType(
    "accounts.service_account.deactivated", "serviceaccount", "The keys of a service account were shut."
)
SERVICE_ACCOUNT_REACTIVATED = EventType(
    "accounts.service_account.reactivated", "serviceaccount", "The keys of a service account open again."
)

SHARE_CREATED = EventType("accounts.share.created", "share", "Something was shared with somebody.")
SHARE_REVOKED = EventType("accounts.share.revoked", "share", "Something is no longer shared with somebody.")

RELATION_CHANGED = EventType(
    "accounts.relation.changed",
    "permission_store",
    "Relation tuples were written or deleted; `data` counts them and names the first and last entry of the change log.",
)
PERMISSION_MODEL_CREATED = EventType(
    "accounts.permission_model.created", "permission_model", "The permission model got a new version."
)
