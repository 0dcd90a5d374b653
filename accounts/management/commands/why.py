"""Explain an answer of the permission engine."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.permissions import names
from accounts.permissions.faults import Refused
from accounts.permissions.known import given_about
from accounts.permissions.product import STORE
from accounts.permissions.providers.local import LocalProvider


class Command(BaseCommand):
    help = (
        "Say why a subject has a relation to an object, or why not: `why user:<id> viewer document:<id>`. "
        "Exit code 0: it is allowed; 1: it is not; 2: the question cannot be answered."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", help="user:<id>, user:* or group:<id>#member")
        parser.add_argument("relation", help="A relation of the object's type.")
        parser.add_argument("object", help="document:<id>")
        parser.add_argument("--store", default=STORE, help=f"Which store to ask (default: {STORE}).")
        parser.add_argument(
            "--context", default="{}", metavar="JSON", help="Parameters of conditions: '{\"hour\": 9}'."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def handle(self, *args: Any, **options: Any) -> None:
        subject, target = names.inward(options["subject"]), names.inward(options["object"])
        question = (subject, options["relation"], target)
        try:
            asked = LocalProvider().open(options["store"])
            given = given_about(asked.model, (subject, target)) if options["store"] == STORE else ()
            found = asked.explain(*question, given, _object(options["context"]))
        except Refused as refused:
            known = f" There are: {', '.join(refused.allowed)}." if refused.allowed else ""
            raise CommandError(f"{refused}{known}", returncode=2) from refused
        if options["json"]:
            self.stdout.write(json.dumps(names.outward_all(found.as_json()), indent=2))
        else:
            self.stdout.write(names.outward_within("\n".join(found.lines())))
        if not found.is_allowed:
            sys.exit(2 if found.is_allowed is None else 1)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise CommandError(f"--context is no JSON: {error}", returncode=2) from error
    if not isinstance(found, dict):
        raise CommandError("--context is an object: '{\"hour\": 9}'.", returncode=2)
    return found
