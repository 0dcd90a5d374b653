"""`manage.py serve`: the web server in its production shape, granian (WSGI) with hashed, compressed static files."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core.static_files import collect_when_needed
from project.management.commands.dev import fresh_metrics_folder

STOP_SECONDS = 30


class Command(BaseCommand):
    help = (
        "Serve the web in its production shape. SIGTERM stops it within 30 seconds, after the requests under way. "
        "Live streams are served by `manage.py streams`, beside it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (0.0.0.0 in a container)")
        parser.add_argument("--port", type=int, default=8000, help="the port to listen on")
        parser.add_argument("--workers", type=int, default=2, help="processes")
        parser.add_argument("--threads", type=int, default=3, help="threads of each process, 2 to 4")

    def handle(self, *args: Any, **options: Any) -> None:
        from granian import Granian
        from granian.constants import Interfaces

        self.stdout.write("Looking after the static files ...")
        collect_when_needed()
        os.environ["COUNTINGHOUSE_PROCESS"] = "web"
        os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(fresh_metrics_folder()))
        self.stdout.write(f"Serving on http://{options['host']}:{options['port']} ({options['workers']} workers)")
        Granian(
            "project.wsgi:application",
            address=options["host"],
            port=options["port"],
            interface=Interfaces.WSGI,
            workers=options["workers"],
            blocking_threads=options["threads"],
            workers_kill_timeout=STOP_SECONDS - 2,
            respawn_failed_workers=True,
            working_dir=settings.BASE_DIR,
        ).serve()
