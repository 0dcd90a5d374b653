"""The figures. They..."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.telemetry import metrics
from core.telemetry.views import forget_the_dead


def value(text: str, name: str, **labels: str) -> float | None:
    """Return the sum of the series that carry these labels in the text form, None when there is none."""
    found = [
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if re.match(rf"{name}[{{ ]", line) and all(f'{label}="{wanted}"' in line for label, wanted in labels.items())
    ]
    return sum(found) if found else None


@pytest.mark.django_db(transaction=True)
def test_are_open_to_this_machine_and_the_bearer_of_the_token_only(client, settings):
    settings.METRICS_TOKEN = "the-token"
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.5").status_code == 404
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="203.0.113.5").status_code == 404
    reply = client.get("/metrics", REMOTE_ADDR="203.0.113.5", HTTP_AUTHORIZATION="Bearer the-token")
    assert reply.status_code == 200
    assert reply["Cache-Control"] == "no-store"


@pytest.mark.django_db(transaction=True)
def test_name_the_route_and_never_the_path(client):
    for number in range(3):
        client.get(f"/api/v1/nothing-{number}")
    text = client.get("/metrics").content.decode()
    assert "nothing-" not in text
    route = "/api(/.*)?"
    assert value(text, "http_request_duration_seconds_count", method="GET", route=route, status_code="404") >= 3


@pytest.mark.django_db(transaction=True)
def test_hold_queries_queue_breakers_and_sealing(client):
    metrics.forget_readings()
    client.get("/metrics")  # its own queries are seen by the next one
    text = client.get("/metrics").content.decode()
    assert value(text, "database_query_duration_seconds_count", operation="select") > 0
    assert value(text, "job_queue_depth", state="queued") == 0
    assert value(text, "job_queue_oldest_age_seconds") == 0
    assert value(text, "audit_sealing_lag_seconds") is not None
    assert "django_db_new_connections_total" in text


@pytest.mark.django_db(transaction=True)
def test_are_read_at_most_every_fifteen_seconds_and_survive_a_failing_one(client, monkeypatch):
    monkeypatch.setattr(metrics, "_read", {})
    asked = []
    metrics.business_gauge("things", "Things.", lambda: asked.append(1) or {"a": 1, "b": 2}, label="kind")
    metrics.business_gauge("broken", "Broken.", lambda: 1 / 0)
    texts = [client.get("/metrics").content.decode() for _ in range(3)]
    assert len(asked) == 1
    assert value(texts[-1], "things", kind="b") == 2
    assert "\nbroken" not in texts[-1]


@pytest.mark.django_db(transaction=True)
def test_add_up_exactly_over_several_workers_also_when_one_was_killed(processes):
    web = processes.web(workers=2, threads=4, METRICS_TOKEN="t", RATE_LIMIT_SCALE="100000")

    def get(path: str) -> str:
        request = urllib.request.Request(web.url + path, headers={"Authorization": "Bearer t"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.read().decode()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(get, ["/health"] * 300))
    # An access line is written before the figure is scraped, but the reply may reach us before its figure is written.
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        text = get("/metrics")
        if value(text, "http_request_duration_seconds_count", route="/health", status_code="200") == 300:
            break
        time.sleep(0.05)
    assert value(text, "http_request_duration_seconds_count", route="/health", status_code="200") == 300
    pids = {path.stem.rsplit("_", 1)[-1] for path in (processes.folder / "metrics").glob("histogram_*.db")}
    assert len(pids) >= 2
    assert value(text, "database_pool_connections", state="active") is not None


def test_forget_the_gauges_of_processes_that_ended(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f"gauge_livesum_{ended.pid}.db").touch()
    (tmp_path / f"counter_{ended.pid}.db").touch()
    forget_the_dead(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"counter_{ended.pid}.db"]
