"""The sign-in form of the admin."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from core.errors import LimitReached


class AdminSignInForm(AuthenticationForm):
    """Says so when somebody is locked out."""

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except LimitReached as refusal:
            minutes = -(-int(refusal.extra.get("retry_after", 60)) // 60)
            wait = "a minute" if minutes <= 1 else f"{minutes} minutes"
            raise ValidationError(f"Too many failed attempts. Try again in {wait}.", code="locked_out") from None
