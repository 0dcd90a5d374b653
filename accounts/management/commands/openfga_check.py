"""Compare what an OpenFGA server has with PostgreSQL."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.permissions import carrying, comparing_server, providers
from accounts.permissions.comparing_server import Difference
from accounts.permissions.language import from_json
from accounts.permissions.models import OpenFGACopy
from accounts.permissions.product import STORE
from accounts.permissions.tuples import Tuple
from core.errors import AppError

_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Compare the tuples on the OpenFGA server with those in PostgreSQL, which are the truth. Exit code 0: they are "
        "alike (with --repair: now); 1: they differ; 2: the server cannot be asked, or was never carried to."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="Make the server's tuples those of PostgreSQL.")
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def handle(self, *args: Any, **options: Any) -> None:
        copy = OpenFGACopy.objects.filter(store__name=STORE).select_related("model").first()
        if copy is None or copy.model is None:
            is_chosen = settings.PERMISSIONS_PROVIDER == providers.OPENFGA
            why = "does a relay run?" if is_chosen else "PERMISSIONS_PROVIDER chooses none."
            raise CommandError(f"Nothing was carried to an OpenFGA server yet: {why}", returncode=2)
        try:
            engine = providers.server().engine(copy.server_store, copy.server_model, from_json(copy.model.document))
            found = comparing_server.compare(engine, copy.store_id)
            repaired = 0
            if options["repair"] and found.keys:
                repaired = len(found.keys)
                carrying.push(engine, copy.store_id, found.keys)
                found = comparing_server.compare(engine, copy.store_id)
        except AppError as fault:
            raise CommandError(fault.detail, returncode=2) from fault
        self._tell(found, repaired, is_json=options["json"])
        if found.keys:
            sys.exit(1)

    def _tell(self, found: Difference, repaired: int, *, is_json: bool) -> None:
        counts = {"missing": found.missing, "extra": found.extra, "otherwise": found.otherwise}
        if is_json:
            named = {name: sorted(str(Tuple.of_key(key)) for key in keys) for name, keys in counts.items()}
            self.stdout.write(json.dumps({"tuples": found.tuples, "repaired": repaired, **named}, indent=2))
            return
        for name, keys in counts.items():
            for key in sorted(keys)[:_SHOWN]:
                self.stdout.write(self.style.ERROR(f"{name}: {Tuple.of_key(key)}"))
        parts = ", ".join(f"{len(keys)} {name}" for name, keys in counts.items())
        self.stdout.write(f"{found.tuples} tuples compared: {parts}. {repaired} repaired.")
