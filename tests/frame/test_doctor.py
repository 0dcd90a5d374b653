"""`manage.py doctor`."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import psycopg
import pytest
from django.core.management import call_command

from core.health import Status
from core.relay import HeldLease
from core.workers import marks
from project import doctor
from project.management.commands.doctor import exit_code
from tests.support import database


class _Streams(BaseHTTPRequestHandler):
    """Answers as the process of the live streams does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"status":"live"}')

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def all_run(settings: Any) -> Iterator[None]:
    """A worker lives, a relay leads, and the live streams answer."""
    marks.write(os.getpid())
    HeldLease.for_this_process("relay").take()
    with HTTPServer(("127.0.0.1", 0), _Streams) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.STREAMS_URL = f"http://127.0.0.1:{server.server_port}"
        yield
        server.shutdown()


@pytest.mark.django_db(transaction=True)
def test_names_each_provider_with_version_and_latency(all_run: None) -> None:
    out = io.StringIO()
    call_command("doctor", "--json", stdout=out)
    found = {line["name"]: line for line in json.loads(out.getvalue())["checks"]}
    assert {"database", "migrations", "cache", "broker", "disk", "clock", "roles", "sealing"} <= found.keys()
    assert found["database"]["data"]["version"].startswith("18")
    assert found["database"]["milliseconds"] > 0
    assert found["roles"]["status"] == "ok"
    assert found["workers"]["data"]["alive"] == 1
    assert found["streams"]["data"]["address"].endswith("/streams/")


@pytest.mark.django_db(transaction=True)
def test_prints_a_table_for_people(all_run: None) -> None:
    out = io.StringIO()
    call_command("doctor", stdout=out)
    assert "database" in out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_warns_when_no_worker_lives() -> None:
    line = next(line for line in doctor.examine() if line.name == "workers")
    assert line.status is Status.WARNING
    assert line.detail.startswith("No worker is alive: jobs wait.")


@pytest.mark.django_db(transaction=True)
def test_names_the_transaction_that_holds_sealing_back(monkeypatch) -> None:
    monkeypatch.setattr(doctor, "HOLD_SECONDS", -1.0)
    with psycopg.connect(database.owner_url(), application_name="a long writer") as writer:
        writer.execute("select pg_current_xact_id()")
        line = next(line for line in doctor.examine() if line.name == "sealing")
        assert line.status is Status.WARNING
        assert "a long writer" in line.detail or str(writer.info.backend_pid) in line.detail


@pytest.mark.parametrize(
    ("found", "code"), [(["ok"], 0), (["ok", "warning"], 2), (["warning", "failed"], 1), (["failed"], 1)]
)
def test_tells_by_its_exit_code(found: list[str], code: int) -> None:
    assert exit_code([doctor.Line(name, Status(name), "") for name in found]) == code
