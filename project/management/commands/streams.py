"""`manage.py streams`: the process that serves live streams, granian (ASGI)."""

from __future__ import annotations

import contextlib
import os
import resource
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core.streams import threads
from project.management.commands.dev import fresh_metrics_folder

STOP_SECONDS = 30
_SPARE = 256  # connections beside the streams: refusals, health, the servers


class Command(BaseCommand):
    help = "Serve live streams (server-sent events). SIGTERM stops it within 30 seconds; clients are told to come back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (0.0.0.0 in a container)")
        parser.add_argument("--port", type=int, default=8001, help="the port to listen on")
        parser.add_argument("--workers", type=int, default=1, help="processes, each with STREAMS_PER_PROCESS streams")

    def handle(self, *args: Any, **options: Any) -> None:
        from granian import Granian
        from granian.constants import Interfaces, Loops
        from granian.log import LogLevels

        room = settings.STREAMS_PER_PROCESS + _SPARE
        raise_file_limit(room + _SPARE)
        os.environ["COUNTINGHOUSE_PROCESS"] = "web"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
        os.environ.setdefault("DATABASE_POOL_MAX", str(threads.TOGETHER))
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(fresh_metrics_folder()))
        self.stdout.write(f"Streaming on http://{options['host']}:{options['port']}/streams/")
        Granian(
            "project.asgi:application",
            address=options["host"],
            port=options["port"],
            interface=Interfaces.ASGI,
            loop=Loops.asyncio,
            workers=options["workers"],
            backlog=max(1024, room),
            backpressure=room,
            workers_kill_timeout=STOP_SECONDS - 2,
            respawn_failed_workers=True,
            working_dir=settings.BASE_DIR,
            log_level=LogLevels.warning,
        ).serve()


def raise_file_limit(wanted: int) -> None:
    """Let this process and its workers open `wanted` files, as far as the machine allows: each stream is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
