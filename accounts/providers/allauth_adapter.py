"""How allauth's flows reach the world: by our mails, and by nothing else.

None of allauth's routes, middleware, limits or messages is in use; our services call its flows (verification, reset,
change of passwords), and the flows call this adapter.
"""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from accounts.providers import mail


def bare_request() -> HttpRequest:
    """Return the request that allauth's flows ask for: of nobody, with nothing kept after it."""
    request = HttpRequest()
    request.session = {}  # type: ignore[assignment]
    return request


class Adapter(DefaultAccountAdapter):
    """Sends our own mails and keeps silent otherwise."""

    MAILS = {"account/email/password_reset_key": "password_reset"}

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        name = self.MAILS.get(template_prefix)
        if name == "password_reset":
            mail.send(name, email, {"user": context["user"], "token": f"{context['uid']}-{context['key']}"})

    def get_reset_password_from_key_url(self, key: str) -> str:
        return key

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing: there is no page to say it on."""

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """allauth counts no attempts here: our limits do."""
