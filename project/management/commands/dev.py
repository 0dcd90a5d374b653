"""`manage.py dev`: the whole product on this machine. The embedded servers run already (see `core.embedded.local`)."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, connection

from core.embedded import only_one
from core.embedded.source_watch import SourceWatch
from core.embedded.supervisor import Child, Supervisor
from core.workers import marks

STAFF_EMAIL = "staff@example.com"
_PORTS_TRIED = 100


class Command(BaseCommand):
    help = "Run everything here: servers, web, worker, relay, with demo data and one log. Ctrl-C stops it."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="web port; the next free one when it is taken")
        parser.add_argument("--no-demo", action="store_true", help="make no demo data in an empty database")
        parser.add_argument("--no-reload", action="store_true", help="do not start anew when the code changes")
        parser.add_argument("--reset", action="store_true", help="delete all data of this folder first")
        parser.add_argument("--yes", action="store_true", help="with --reset: do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        call_command("migrate", verbosity=0, interactive=False)
        is_empty = not get_user_model()._default_manager.exists()
        if is_empty and not options["no_demo"] and "demo" in get_commands():
            self.stdout.write("The database is empty: making demo data (--no-demo leaves it empty) ...")
            call_command("demo")
        call_command("help_pages", verbosity=0)
        password = fresh_staff_password()
        connection.close()
        port = free_port(options["port"])
        if port != options["port"]:
            self.stdout.write(f"Port {options['port']} is taken; using {port}.")
        address = f"http://localhost:{port}"
        streams_port = free_port(port + 1)
        streams_address = f"http://localhost:{streams_port}"
        only_one.say_where(address, streams_address)
        supervisor = Supervisor(children(port, address, streams_port, streams_address), folder=settings.BASE_DIR)
        self.stdout.write(_welcome(address, streams_address, password))
        supervisor.say(f"Prepared in {time.monotonic() - started:.1f} s. Ctrl-C stops everything.")
        supervisor.run(watch=None if options["no_reload"] else SourceWatch(settings.BASE_DIR))
        self.stdout.write("Stopped.")


def fresh_staff_password() -> str:
    """Give the staff member of this clone a new password and return it: never one that somebody could know."""
    users: Any = get_user_model()._default_manager
    password = secrets.token_urlsafe(12)
    user = users.filter(email=STAFF_EMAIL).first()
    if user is None:
        users.create_superuser(STAFF_EMAIL, password)
    else:
        # not by save(): a new version of the person without an event would leave the search index behind
        users.filter(pk=user.pk).update(password=make_password(password))
    return password


def free_port(wanted: int) -> int:
    """Return `wanted`, or the next port that nobody listens on. Raises CommandError after a hundred."""
    for port in range(wanted, min(wanted + _PORTS_TRIED, 65536)):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise CommandError(f"No free port from {wanted} on; name another by --port.")


def fresh_metrics_folder() -> Path:
    """Return an empty folder in which the processes count together (PROMETHEUS_MULTIPROC_DIR)."""
    folder: Path = settings.BASE_DIR / ".countinghouse" / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def children(port: int, address: str, streams_port: int, streams_address: str) -> list[Child]:
    """Return the processes of the product: web, live streams, worker, relay."""
    python, manage = sys.executable, str(settings.BASE_DIR / "manage.py")
    common = {
        "PUBLIC_URL": os.environ.get("PUBLIC_URL") or address,
        "STREAMS_URL": os.environ.get("STREAMS_URL") or streams_address,
        "PROMETHEUS_MULTIPROC_DIR": str(fresh_metrics_folder()),
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }
    web = [python, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    web += ["--workers", "1", "--blocking-threads", "4", "--workers-kill-timeout", "10", "--log-level", "warning"]
    worker = [python, "-W", "ignore:You're running the worker with superuser", "-m", "celery", "--quiet"]
    concurrency = str(max(2, min(4, os.cpu_count() or 2)))
    worker += ["-A", "project.celery", "worker", "--concurrency", concurrency, "--loglevel", "warning"]
    worker += ["--without-mingle", "--without-gossip"]
    return [
        Child("web", [*web, "project.wsgi:application"], "cyan", {**common, "COUNTINGHOUSE_PROCESS": "web"}),
        Child("streams", [python, manage, "streams", "--port", str(streams_port)], "blue", common),
        Child("worker", worker, "magenta", common, stands_still=stands_still),
        Child("relay", [python, manage, "relay"], "yellow", common),
    ]


def stands_still(pid: int) -> bool:
    """Whether the worker `pid` has gone silent, by its mark. Without PostgreSQL nobody knows, and nobody is ended."""
    try:
        return marks.is_silent(pid)
    except (DatabaseError, InterfaceError):
        return False
    finally:
        connection.close()


def _welcome(address: str, streams_address: str, password: str) -> str:
    return f"""
  Countinghouse

    Admin     {address}/admin/
    API docs  {address}/api/docs
    Health    {address}/health
    Streams   {streams_address}/streams/

    Sign in as {STAFF_EMAIL} with the password {password}
"""
