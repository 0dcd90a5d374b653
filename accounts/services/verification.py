"""Proving that an address is one's own, through allauth's signed confirmations.

The token is bound to the password with which the account was made: whoever signs up again with an address that is not
yet proven replaces the password, and mails sent before open nothing any more. So nobody can wait with a password of
their own for the owner of an address to confirm it.
"""

from __future__ import annotations

import hashlib

from allauth.account import app_settings
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.core import signing

from accounts import events
from accounts.actors import actor_of_user
from accounts.errors import InvalidMailToken
from accounts.models import User
from accounts.providers.allauth_adapter import bare_request
from audit import record
from core.actor import Actor
from core.commands import command


class Confirmation(EmailConfirmationHMAC):
    """allauth's confirmation, bound to the password."""

    @property
    def key(self) -> str:
        address = self.email_address
        return signing.dumps([address.pk, _fingerprint(address.user)], salt=app_settings.SALT)

    @classmethod
    def from_key(cls, key: str) -> Confirmation | None:
        try:
            pk, fingerprint = signing.loads(
                key, max_age=86400 * app_settings.EMAIL_CONFIRMATION_EXPIRE_DAYS, salt=app_settings.SALT
            )
        except (signing.BadSignature, ValueError, TypeError):
            return None
        address = EmailAddress.objects.select_related("user").filter(pk=pk, verified=False).first()
        return cls(address) if address is not None and _fingerprint(address.user) == fingerprint else None


def token_for(user: User) -> str | None:
    """Return the token that proves the address of `user`, None when it is proven."""
    address = EmailAddress.objects.select_related("user").filter(user=user, email=user.email, verified=False).first()
    return Confirmation(address).key if address else None


@command("accounts.user.verify_email")
def verify_email(*, actor: Actor, token: str) -> User:
    """Prove an address by the token out of the mail. Writes `accounts.user.email_verified`. Raises
    `InvalidMailToken`."""
    confirmation = Confirmation.from_key(token)
    address = confirmation.confirm(bare_request()) if confirmation else None
    if address is None:
        raise InvalidMailToken("The token is wrong, used or too old. Ask for a new mail.")
    user: User = address.user
    record(events.USER_EMAIL_VERIFIED, actor=actor_of_user(user), subject=user)
    return user


def mark_verified(user: User) -> None:
    """Take the address of `user` as proven (staff entered them, or they answered a mail)."""
    address, _ = EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"primary": True})
    if not address.verified:
        address.verified = address.primary = True
        address.save(update_fields=["verified", "primary"])


def _fingerprint(user: User) -> str:
    return hashlib.sha256(user.password.encode()).hexdigest()[:16]
