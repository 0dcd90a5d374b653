"""`manage.py staff`: who is one of the company's own people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User, UserManager
from accounts.services import staff
from core import clock, context
from core.actor import SYSTEM
from core.commands import record_refusal
from core.errors import AppError

REFUSED, UNUSABLE = 1, 2
_ACTS: dict[str, Callable[..., User]] = {
    "grant": staff.grant,
    "revoke": staff.revoke,
    "administrator": staff.make_administrator,
}


class Command(BaseCommand):
    help = (
        "List the staff; grant a person staff rights (bounded by --group, else those of an administrator), or revoke "
        "them, which ends the person's sessions at once; make a bounded one an administrator. Exit codes: 0 done, or "
        "so already; 1 refused; 2 unknown person or group, no reason, or nobody confirmed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=["list", *_ACTS], nargs="?", default="list")
        parser.add_argument("email", nargs="?", default="", help="of a person who has signed up")
        parser.add_argument(
            "--group", action="append", default=[], help="with grant: what the person may, see `manage.py staff_group`"
        )
        parser.add_argument("--reason", default="", help="why; kept in the event log")
        parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
        parser.add_argument("--json", action="store_true", dest="is_json", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["act"] == "list":
            self._list(options["is_json"])
            return
        user = self._person(options["email"])
        if not options["reason"].strip():
            raise CommandError("Say why with --reason: it is kept in the event log.", returncode=UNUSABLE)
        if not options["yes"]:
            self._confirm(f"{options['act'].capitalize()} staff rights of {user.email}?")
        named = {"groups": self._groups(options["group"])} if options["act"] == "grant" else {}
        with context.changed(source="command", reason=options["reason"]):
            try:
                act = _ACTS[options["act"]]
                user = act(actor=SYSTEM, user=user, reason=options["reason"], now=clock.now(), **named)
            except AppError as error:
                record_refusal(error)
                raise CommandError(f"{error.code}: {error.detail}", returncode=REFUSED) from None
        if options["is_json"]:
            self.stdout.write(json.dumps(_document(user)))
        else:
            self.stdout.write(f"{user.email} {'is' if user.is_staff else 'is not'} a staff member.")

    def _list(self, is_json: bool) -> None:
        members = User.objects.filter(is_staff=True).order_by("email").prefetch_related("groups")
        if is_json:
            self.stdout.write(json.dumps([_document(user) for user in members]))
            return
        for user in members:
            groups = "" if user.is_superuser else ", ".join(group.name for group in user.groups.all()) or "no group"
            parts = (user.email, user.name, groups, "" if user.is_active else "(deactivated)")
            self.stdout.write("  ".join(part for part in parts if part))
        if not members:
            self.stdout.write("Nobody is a staff member: `manage.py createsuperuser` makes the first.")

    def _groups(self, names: Sequence[str]) -> list[Group]:
        found = {group.name: group for group in Group.objects.filter(name__in=names)}
        missing = [name for name in names if name not in found]
        if missing:
            known = ", ".join(Group.objects.order_by("name").values_list("name", flat=True)) or "none yet"
            raise CommandError(f"There is no group {', '.join(missing)}; known: {known}.", returncode=UNUSABLE)
        return list(found.values())

    def _person(self, email: str) -> User:
        user = User.objects.filter(email=UserManager.normalize_email(email)).first()
        if user is None:
            raise CommandError(f"Nobody has signed up as {email or '(no e-mail given)'}.", returncode=UNUSABLE)
        return user

    def _confirm(self, question: str) -> None:
        if not sys.stdin.isatty():
            raise CommandError("Without a terminal to ask, say --yes.", returncode=UNUSABLE)
        if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was changed.", returncode=UNUSABLE)


def _document(user: User) -> dict[str, Any]:
    return {
        "id": user.public_id,
        "email": user.email,
        "is_staff": user.is_staff,
        "is_administrator": user.is_superuser,
        "groups": sorted(group.name for group in user.groups.all()),
        "is_active": user.is_active,
    }
