"""What an invitation may become, and why a session ends."""

from __future__ import annotations

from django.db.models import TextChoices


class InvitationStatus(TextChoices):
    """Whether a pending one has expired is a question of the clock, not of a state."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REVOKED = "revoked"


class EndedReason(TextChoices):
    """Why a session ended."""

    SIGNED_OUT = "signed_out"
    SIGNED_OUT_BY_USER = "signed_out_by_user", "signed out from another device"
    SIGNED_OUT_BY_STAFF = "signed_out_by_staff"
    TOKEN_REUSED = "token_reused", "a spent refresh token was used again"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    TOO_MANY_SESSIONS = "too_many_sessions"
    DEACTIVATED = "deactivated", "the account was deactivated"
    STAFF_RIGHTS_REVOKED = "staff_rights_revoked"
    EXPIRED = "expired"
