"""`manage.py worker_alive`: the probe of a worker's container."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from core.workers import marks


class Command(BaseCommand):
    help = (
        "Say whether the workers of this host turn, by their marks in PostgreSQL. Exit code 0 when one does and none "
        "is silent, else 1. For a container's liveness probe: ask every 30 s, restart after 3 failures."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        found = marks.marks(marks.this_host())
        for mark in found:
            self.stdout.write(f"{mark.pid}: {'silent' if mark.is_silent else 'alive'}, {mark.seconds:.0f} s ago")
        if not found:
            self.stderr.write(f"No worker of {marks.this_host()} is known.")
        if not found or any(mark.is_silent for mark in found):
            raise SystemExit(1)
