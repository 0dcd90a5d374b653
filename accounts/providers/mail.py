"""Writing and sending one mail: a subject, a text and a page out of `templates/mail/<name>/`."""

from __future__ import annotations

import smtplib
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from core import outside
from core.errors import ProviderRejected


def one_line(text: str) -> str:
    """Return what somebody typed without line breaks and control characters: a name must not write a mail's subject or
    begin its text."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def send(name: str, to: str, values: dict[str, Any]) -> None:
    """Render the mail `name` with `values` and send it through Django's e-mail backend."""
    values = {"public_url": settings.PUBLIC_URL.rstrip("/"), "app_url": settings.APP_URL.rstrip("/"), **values}
    text = render_to_string(f"mail/{name}.txt", values)
    subject, _, body = text.partition("\n")
    message = EmailMultiAlternatives(subject.strip(), body.lstrip("\n"), settings.DEFAULT_FROM_EMAIL, [to])
    page = render_to_string(f"mail/{name}.html", {**values, "subject": subject.strip()})
    message.attach_alternative(page, "text/html")
    deliver(message)


@outside.call(provider="mail", operation="send")
def deliver(message: EmailMultiAlternatives) -> None:
    """Hand one mail over. Not repeated here, since a lost answer may mean a mail sent; the job decides. Raises
    `ProviderRejected` when the server refuses it for good (RFC 5321: 5yz), `ProviderUnavailable` otherwise."""
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as fault:
        _refuse_for_good(max(code for code, _ in fault.recipients.values()), fault)
        raise
    except smtplib.SMTPResponseException as fault:
        _refuse_for_good(fault.smtp_code, fault)
        raise


def _refuse_for_good(code: int, fault: Exception) -> None:
    if 500 <= code < 600:
        raise ProviderRejected(f"The mail server refuses this mail ({code}).", provider="mail") from fault
