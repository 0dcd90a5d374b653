"""Kinds of notifications, what may be chosen for each, what becomes of a mail; states of webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
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


# Webhooks


class DisabledReason(TextChoices):
    """Why an endpoint is sent nothing."""

    BY_HAND = "by_hand", "by hand"
    GONE = "gone", "it answered 410 Gone"
    FAILING = "failing", "it failed for days"


class DeliveryStatus(TextChoices):
    """`pending` waits for its moment or for the one before it; `sending` is a job's; `failed` has no attempt left;
    `skipped` fell due while its endpoint was disabled. The last three are ends; a replay makes them pending again."""

    PENDING = "pending"
    SENDING = "sending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


UNFINISHED: Final = (DeliveryStatus.PENDING, DeliveryStatus.SENDING)
FINISHED: Final = (DeliveryStatus.SUCCEEDED, DeliveryStatus.FAILED, DeliveryStatus.SKIPPED)


class AttemptOutcome(TextChoices):
    """How one attempt ended. Only `delivered` (any 2xx) is a success."""

    DELIVERED = "delivered"
    REJECTED = "rejected", "an answer other than 2xx"
    REDIRECTED = "redirected", "a redirect, which is not followed"
    GONE = "gone", "410 Gone"
    TIMED_OUT = "timed_out", "no answer in time"
    UNREACHABLE = "unreachable", "no connection"
    UNRESOLVED = "unresolved", "the name has no address"
    FORBIDDEN_ADDRESS = "forbidden_address", "an address to which nothing is sent"
    BAD_CERTIFICATE = "bad_certificate", "TLS failed"
    BAD_ANSWER = "bad_answer", "no answer of HTTP"


# Waits before each attempt: Standard Webhooks 1.0, "Retry schedule". Each counts from the end of the attempt before.
SCHEDULE: Final = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
