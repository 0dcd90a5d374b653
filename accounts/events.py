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
