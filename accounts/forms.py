"""The forms with which staff sign in and change their password."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm

from accounts.actors import actor_of_user
from accounts.models import User
from accounts.services import users
from core import clock
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


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """Changes the password by the same command as the API: sessions end, the change is recorded, a mail tells."""

    user: User

    def save(self, commit: bool = True) -> User:
        self.user = users.change_password(
            actor=actor_of_user(self.user),
            user=self.user,
            current_password=self.cleaned_data["old_password"],
            new_password=self.cleaned_data["new_password1"],
            now=clock.now(),
        )
        return self.user
