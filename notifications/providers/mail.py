"""One notification, or one day's digest, as an e-mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.providers import mail

_SALT: Final = "notifications.unsubscribe"
DIGEST: Final = "digest"  # stands for every kind that comes by the digest


class Message(EmailMultiAlternatives):
    """A mail whose long headers stay on one line (RFC 5322 allows 998 signs): not every program that looks for the link
    of `List-Unsubscribe` unfolds it."""

    def message(self, **options: Any) -> Any:
        made: Any = super().message(**options)
        made.policy = made.policy.clone(max_line_length=998)
        return made


def address_of(url: str) -> str:
    """Return where a link in a mail leads: pages of the admin and of the API at PUBLIC_URL, other paths in the client
    program at APP_URL ("" when there is none)."""
    if not url.startswith("/"):
        return url
    is_ours = url.startswith(("/admin/", "/api/"))
    base = settings.PUBLIC_URL if is_ours else settings.APP_URL
    return f"{base.rstrip('/')}{url}" if base else ""


def unsubscribe_address(person_id: UUID, kind: str) -> str:
    """Return the signed address that switches `kind` off by mail for a person, without a sign-in."""
    token = signing.dumps([person_id.hex, kind], salt=_SALT)
    return f"{settings.PUBLIC_URL.rstrip('/')}{reverse('notification-unsubscribe', args=[token])}"


def read_unsubscribe(token: str) -> tuple[UUID, str] | None:
    """Return person and kind of a signed token; None when it is not one of ours. It never expires: mails are kept."""
    try:
        person, kind = signing.loads(token, salt=_SALT)
        return UUID(person), str(kind)
    except (signing.BadSignature, ValueError, TypeError):
        return None


def send(
    *,
    to: str,
    message_id: str,
    mail_id: str,
    subject: str,
    text: str,
    page: str,
    values: Mapping[str, Any],
    unsubscribe: str = "",
) -> None:
    """Send one mail: `text` and the template `page`, between our head and foot. `unsubscribe` is the one-click address
    (RFC 8058) of what may be switched off. Raises as `accounts.providers.mail.deliver` does."""
    shown = {
        **values,
        "subject": subject,
        "text": text,
        "public_url": settings.PUBLIC_URL.rstrip("/"),
        "host": urlsplit(settings.PUBLIC_URL).hostname or "",
        "unsubscribe_url": unsubscribe,
    }
    headers = {"Message-ID": message_id, "X-Countinghouse-Mail": mail_id, "Auto-Submitted": "auto-generated"}
    if unsubscribe:
        headers |= {"List-Unsubscribe": f"<{unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    body = render_to_string("notifications/mail.txt", shown)
    message = Message(subject, body, settings.DEFAULT_FROM_EMAIL, [to], headers=headers)
    message.attach_alternative(render_to_string(page, shown), "text/html")
    mail.deliver(message)
