"""Where people are reached."""

from __future__ import annotations

from allauth.account.models import EmailAddress

from accounts.models import User


def proven_address(person: User) -> str:
    """Return the address that the person proved to be theirs, "" when there is none or they were shut out."""
    if not person.is_active:
        return ""
    is_proven = EmailAddress.objects.filter(user=person, email=person.email, verified=True).exists()
    return person.email if is_proven else ""
