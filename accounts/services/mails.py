"""The mails of accounts, sent by jobs after the commit: those that let somebody in. Tokens are made inside the job:
none lies in a payload. What merely tells of something (a new password, a sign-in) follows the event log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from allauth.account import app_settings as allauth_settings
from allauth.account.internal import flows

from accounts.models import User
from accounts.providers import mail
from accounts.providers.allauth_adapter import bare_request
from accounts.services import verification
from core import jobs
from core.actor import Actor

JOB: Final = "accounts.send_mail"
VERIFY_EMAIL: Final = "verify_email"
ALREADY_REGISTERED: Final = "already_registered"
PASSWORD_RESET: Final = "password_reset"  # noqa: S105
_AT_MOST_EVERY = 60  # seconds between two mails of one kind to one person


def enqueue(name: str, user: User, *, now: datetime, actor: Actor) -> None:
    """Let the mail `name` be sent to `user`, once a minute at most."""
    minute = int(now.timestamp()) // _AT_MOST_EVERY
    jobs.enqueue(
        JOB,
        {"mail": name, "user_id": str(user.pk)},
        actor=actor,
        unique_key=f"{JOB}:{name}:{user.pk}:{minute}",
    )


def send(name: str, user_id: UUID) -> bool:
    """Send the mail `name` now; False when the person is gone or the mail has become pointless."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    return user is not None and _SENDERS[name](user)


def _verify_email(user: User) -> bool:
    token = verification.token_for(user)
    if token is None:
        return False
    mail.send(VERIFY_EMAIL, user.email, {"user": user, "token": token})
    return True


def _password_reset(user: User) -> bool:
    generator = allauth_settings.PASSWORD_RESET_TOKEN_GENERATOR()
    flows.password_reset.request_password_reset(bare_request(), user.email, [user], generator)
    return True


def _plain(name: str) -> Callable[[User], bool]:
    def send_plain(user: User) -> bool:
        mail.send(name, user.email, {"user": user})
        return True

    return send_plain


_SENDERS: dict[str, Callable[[User], bool]] = {
    VERIFY_EMAIL: _verify_email,
    PASSWORD_RESET: _password_reset,
    ALREADY_REGISTERED: _plain(ALREADY_REGISTERED),
}
