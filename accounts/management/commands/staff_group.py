"""`manage.py staff_group`: groups of staff and what they may do."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.services import staff_groups
from core import access, context
from core.actor import SYSTEM
from core.commands import record_refusal
from core.errors import AppError

REFUSED, UNUSABLE = 1, 2


class Command(BaseCommand):
    help = (
        "List the groups of staff; make one or change what it may (`set Support billing.*.view core.job.view`); delete "
        "one. A pattern names several permissions; --permissions lists them all. Exit codes: 0 done; 1 refused; 2 "
        "unknown group or pattern."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=["list", "set", "delete"], nargs="?", default="list")
        parser.add_argument("name", nargs="?", default="", help="of the group")
        parser.add_argument("patterns", nargs="*", help="permissions, or patterns of them: billing.*")
        parser.add_argument("--permissions", action="store_true", help="list what a group may have")
        parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
        parser.add_argument("--json", action="store_true", dest="is_json", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["permissions"]:
            self._say({name: access.permissions[name].text for name in staff_groups.grantable()}, options["is_json"])
        elif options["act"] == "list":
            groups = Group.objects.order_by("name")
            self._say({group.name: staff_groups.held_by(group) for group in groups}, options["is_json"])
            if not groups and not options["is_json"]:
                self.stdout.write(
                    "No group yet: all staff are administrators. Make one with `manage.py staff_group set`."
                )
        else:
            self._change(options)

    def _change(self, options: dict[str, Any]) -> None:
        group = Group.objects.filter(name__iexact=options["name"]).first()
        if not options["name"] or (options["act"] == "delete" and group is None):
            raise CommandError(f"There is no group {options['name'] or '(no name given)'}.", returncode=UNUSABLE)
        wanted = self._matched(options["patterns"]) if options["act"] == "set" else []
        before = staff_groups.held_by(group) if group else []
        if not options["dry_run"]:
            self._carry_out(options, group, wanted)
        change = {
            "group": options["name"],
            "gained": [name for name in wanted if name not in before],
            "lost": [name for name in before if name not in wanted],
            "is_dry_run": options["dry_run"],
        }
        self._say(change, options["is_json"])

    def _carry_out(self, options: dict[str, Any], group: Group | None, wanted: list[str]) -> None:
        with context.changed(source="command"):
            try:
                if options["act"] == "delete" and group is not None:
                    staff_groups.delete(actor=SYSTEM, group=group)
                else:
                    staff_groups.save(actor=SYSTEM, name=options["name"], permissions=wanted, group=group)
            except AppError as error:
                record_refusal(error)
                raise CommandError(f"{error.code}: {error.detail}", returncode=REFUSED) from None

    def _matched(self, patterns: list[str]) -> list[str]:
        names = staff_groups.grantable()
        unknown = [pattern for pattern in patterns if not fnmatch.filter(names, pattern)]
        if unknown:
            raise CommandError(
                f"No permission is called {', '.join(unknown)}: `manage.py staff_group --permissions` lists them.",
                returncode=UNUSABLE,
            )
        return sorted({name for pattern in patterns for name in fnmatch.filter(names, pattern)})

    def _say(self, document: dict[str, Any], is_json: bool) -> None:
        if is_json:
            self.stdout.write(json.dumps(document))
            return
        for name, value in document.items():
            text = ", ".join(value) or "nothing" if isinstance(value, list) else str(value)
            self.stdout.write(f"{name}: {text}")
