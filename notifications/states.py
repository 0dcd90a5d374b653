"""Kinds of notifications, what may be chosen for each, and what becomes of a mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import TextChoices


class MailChoice(TextChoices):
    """When a person wants a kind of notification by e-mail."""

    IMMEDIATELY = "immediately"
    DIGEST = "digest", "once a day"
    OFF = "off"


class MailState(TextChoices):
    """A queued mail waits for its job, a failed one for a person; a skipped one had no address to go to."""

    QUEUED = "queued", "queued"
    SENT = "sent", "sent"
    FAILED = "failed", "failed"
    SKIPPED = "skipped", "skipped"


RESENDABLE: Final = frozenset({MailState.SENT, MailState.FAILED, MailState.SKIPPED})


@dataclass(frozen=True, slots=True)
class Kind:
    """What a notification is about, as people choose it. A mandatory one cannot be switched off; `email` is what holds
    until somebody chooses otherwise."""

    name: str
    label: str
    email: MailChoice
    is_mandatory: bool = False
    is_for_staff: bool = False


KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("security", "Sign-ins and passwords", MailChoice.IMMEDIATELY, is_mandatory=True),
        Kind("members", "Who joins and leaves an organisation", MailChoice.DIGEST),
        Kind("api_keys", "API keys", MailChoice.IMMEDIATELY),
        Kind("billing", "Payments that failed, subscriptions that end", MailChoice.IMMEDIATELY),
        Kind("receipts", "Invoices, payments, renewals, refunds", MailChoice.DIGEST),
        Kind("exports", "Exports that are ready", MailChoice.OFF),
        Kind("webhooks", "Webhook endpoints that fail", MailChoice.IMMEDIATELY),
        Kind("operations", "Jobs that failed for good", MailChoice.DIGEST, is_for_staff=True),
    )
}
KIND_CHOICES: Final = [(kind.name, kind.label) for kind in KINDS.values()]


def kind_of(name: str) -> Kind:
    """Return the kind. Raises LookupError on an unknown name."""
    try:
        return KINDS[name]
    except KeyError:
        raise LookupError(f"No kind of notification is named {name!r}; known are {', '.join(KINDS)}.") from None
