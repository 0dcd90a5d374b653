"""Settings of people: how passwords are kept and checked, how mail leaves, and allauth's switches."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PASSWORD_HASHERS = [
    "accounts.hashers.Argon2idHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",  # to check what other systems hashed
]
PASSWORD_RESET_TIMEOUT = 3600  # seconds that the token in the mail holds
_VALIDATION = "django.contrib.auth.password_validation."
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": f"{_VALIDATION}MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": f"{_VALIDATION}UserAttributeSimilarityValidator", "OPTIONS": {"user_attributes": ("email", "name")}},
    {"NAME": f"{_VALIDATION}CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["accounts.backends.LimitedBackend"]

# allauth lends us its flows. None of its routes is mounted, its limits and notices are off: ours decide.
ACCOUNT_ADAPTER = "accounts.providers.allauth_adapter.Adapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 3
ACCOUNT_RATE_LIMITS: dict[str, str] = {}
ACCOUNT_EMAIL_NOTIFICATIONS = False


def mail(address: str, folder: Path) -> dict[str, Any]:
    """Return Django's e-mail settings for `MAIL_URL`: `smtp://user:password@host:587?tls=1`, `console:`, or `file:` (a
    file for each mail, in `folder` or in the folder after the colon)."""
    parts = urlsplit(address)
    backend = "filebased" if parts.scheme == "file" else parts.scheme
    found: dict[str, Any] = {
        "EMAIL_BACKEND": f"django.core.mail.backends.{backend}.EmailBackend",
        "EMAIL_TIMEOUT": 10,
    }
    if parts.scheme == "file":
        found["EMAIL_FILE_PATH"] = str(Path(parts.path)) if parts.path else str(folder)
    if parts.scheme == "smtp":
        query = parse_qs(parts.query)
        found |= {
            "EMAIL_HOST": parts.hostname or "localhost",
            "EMAIL_PORT": parts.port or 25,
            "EMAIL_HOST_USER": unquote(parts.username or ""),
            "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
            "EMAIL_USE_TLS": "tls" in query,
            "EMAIL_USE_SSL": "ssl" in query,
        }
    return found
