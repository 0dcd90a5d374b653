"""`manage.py changepassword`, in place of Django's, which writes no event and ends no session."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User, UserManager
from accounts.services import users
from core import clock, context
from core.actor import SYSTEM
from core.commands import record_refusal
from core.errors import AppError

REFUSED, UNUSABLE = 1, 2


class Command(BaseCommand):
    help = (
        "Give a person a new password, which ends their sessions at once. It is asked for twice, or read as the first "
        "line of standard input where there is no terminal. Who can read mail should rather use the reset of the API. "
        "Exit codes: 0 done; 1 refused; 2 unknown person, no reason, or two different passwords."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="of the person")
        parser.add_argument("--reason", default="", help="why; kept in the event log")

    def handle(self, *args: Any, email: str, reason: str, **options: Any) -> None:
        user = User.objects.filter(email=UserManager.normalize_email(email)).first()
        if user is None:
            raise CommandError(f"Nobody has signed up as {email}.", returncode=UNUSABLE)
        if not reason.strip():
            raise CommandError("Say why with --reason: it is kept in the event log.", returncode=UNUSABLE)
        password = self._password()
        with context.changed(source="command", reason=reason):
            try:
                users.set_password(actor=SYSTEM, user=user, password=password, reason=reason, now=clock.now())
            except AppError as error:
                record_refusal(error)
                said = " ".join((error.detail, *(fault.detail for fault in error.faults)))
                raise CommandError(f"{error.code}: {said}", returncode=REFUSED) from None
        self.stdout.write(f"{user.email} has a new password; all sessions have ended.")

    def _password(self) -> str:
        if not sys.stdin.isatty():
            return sys.stdin.readline().rstrip("\r\n")
        password = getpass.getpass("New password: ")
        if getpass.getpass("Again: ") != password:
            raise CommandError("The two are not the same. Nothing was changed.", returncode=UNUSABLE)
        return password
