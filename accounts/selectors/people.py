"""Questions about people."""

from __future__ import annotations

from allauth.account.models import EmailAddress

from accounts.models import User


def is_proven(user: User) -> bool:
    """Whether the person has proven that their e-mail address is theirs."""
    return bool(EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists())
