"""The sign-in of the admin: the same guess under the same limits as the API's."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.errors import InvalidCredentials
from accounts.models import User
from accounts.services import sessions
from core import context
from core.actor import ANONYMOUS
from core.commands import record_refusal


class LimitedBackend(ModelBackend):
    """Checks credentials as `services.sessions.authenticate` does. Raises `LimitReached` while locked out."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        email = username if username is not None else kwargs.get("email")
        if email is None or password is None:
            return None
        ip = context.current().ip or (request.META.get("REMOTE_ADDR", "") if request is not None else "")
        try:
            return sessions.authenticate_for_admin(actor=ANONYMOUS, email=email, password=password, ip=ip)
        except InvalidCredentials as refusal:
            record_refusal(refusal)
            return None
