"""In which order a person's inbox changed: what a live stream resumes after.

The key of a row says when it was made, not when it became visible: a transaction that began earlier may commit later,
and who had read on would miss its rows for ever. So each change of a row takes the next number of its person's counter,
and the counter's row stays locked until the commit: of one person nobody can commit number 8 before number 7 is
visible. A trigger takes the number, so that no way of writing can forget it (migration 0003).
"""

from __future__ import annotations

from django.db import models

from accounts.models import User


class InboxPosition(models.Model):
    """One person's counter. `last` is the number of the latest change of any of their notifications."""

    person = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="+")
    last = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.person_id}: {self.last}"
