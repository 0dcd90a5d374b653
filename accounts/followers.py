"""What accounts does when something happened elsewhere."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.dispatch import receiver

from accounts import events
from accounts.actors import actor_of_user
from accounts.models import User
from audit import record


@receiver(user_logged_in, dispatch_uid="accounts.record_staff_sign_in")
def record_staff_sign_in(sender: Any, user: User, **kwargs: Any) -> None:
    """Record a sign-in to the admin, which runs on Django's sessions and not on ours."""
    with transaction.atomic():
        record(events.STAFF_SIGNED_IN, actor=actor_of_user(user), subject=user)
