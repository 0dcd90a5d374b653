"""The health routes. They..."""

from __future__ import annotations

import threading
import time

import pytest

from core import health
from core.health import Finding, Status


@pytest.fixture(autouse=True)
def anew():
    known = dict(health.probes)
    health.forget()
    yield
    health.probes.clear()
    health.probes.update(known)
    health.forget()


@pytest.fixture
def broken_database(monkeypatch):
    def ask() -> Finding:
        raise ConnectionError("no route to 10.1.2.3")

    monkeypatch.setitem(health.probes, "database", health.Probe("database", ask, gates=True))


def test_live_asks_nothing(client, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        reply = client.get("/health/live")
    assert (reply.status_code, reply.json()) == (200, {"status": "live"})
    assert reply["Cache-Control"] == "no-store"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/health/ready", "/health/startup"])
def test_is_ready_with_a_database(client, path):
    reply = client.get(path)
    assert reply.json() == {"status": "ready"}
    assert reply.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_names_what_keeps_it_from_being_ready_and_hides_addresses(client, broken_database):
    reply = client.get("/health/ready")
    assert reply.status_code == 503
    assert reply.json() == {"status": "unavailable", "failed": {"database": "ConnectionError"}}
    assert "10.1.2.3" not in client.get("/health", REMOTE_ADDR="203.0.113.5").content.decode()


@pytest.mark.django_db(transaction=True)
def test_is_not_ready_while_a_migration_is_pending(client, monkeypatch, owner_connection):
    monkeypatch.setattr(health, "_is_migrated", False)
    query = "DELETE FROM django_migrations WHERE app = 'sessions' RETURNING app, name, applied"
    rows = owner_connection.execute(query).fetchall()
    try:
        reply = client.get("/health/ready")
        assert reply.status_code == 503
        assert reply.json()["failed"] == {"migrations": "1 migrations are pending."}
    finally:
        with owner_connection.cursor() as cursor:
            cursor.executemany("INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)", rows)


@pytest.mark.django_db(transaction=True)
def test_stays_ready_without_redis_and_says_so_in_detail(client, own_valkey):
    own_valkey.kill()
    assert client.get("/health/ready").status_code == 200
    reply = client.get("/health")
    assert reply.status_code == 200
    assert reply.json()["status"] == "degraded"
    assert reply.json()["checks"]["cache"]["status"] == "failed"


@pytest.mark.django_db(transaction=True)
def test_warns_about_memory_with_200(client, monkeypatch):
    monkeypatch.setattr(health, "_container_percent", lambda: 91.0)
    reply = client.get("/health")
    assert reply.status_code == 200
    assert reply.json()["checks"]["memory"] == {
        "status": "warning",
        "milliseconds": reply.json()["checks"]["memory"]["milliseconds"],
        "detail": "91 % of the memory is in use.",
        "percent": 91.0,
    }


def test_reads_a_containers_memory_without_the_page_cache(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.stat").write_text("anon 300\ninactive_file 400\n")
    assert health._container_percent(tmp_path) == 50
    (tmp_path / "memory.max").write_text("max\n")
    assert health._container_percent(tmp_path) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("headers", "shows"),
    [
        ({"REMOTE_ADDR": "203.0.113.5"}, False),
        ({"REMOTE_ADDR": "127.0.0.1"}, True),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.5"}, False),
        ({"REMOTE_ADDR": "203.0.113.5", "HTTP_AUTHORIZATION": "Bearer the-token"}, True),
        ({"REMOTE_ADDR": "203.0.113.5", "HTTP_AUTHORIZATION": "Bearer another"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_AUTHORIZATION": "Bearer another"}, False),
    ],
)
def test_shows_versions_to_the_trusted_only(client, settings, headers, shows):
    settings.METRICS_TOKEN = "the-token"
    assert ("version" in client.get("/health", **headers).json()["checks"]["database"]) is shows


@pytest.mark.django_db(transaction=True)
def test_asks_at_most_once_in_five_seconds(client, monkeypatch):
    asked = []
    monkeypatch.setitem(health.probes, "slow", health.Probe("slow", lambda: asked.append(1) or Finding(), gates=True))
    for _ in range(20):
        client.get("/health/ready")
    assert len(asked) == 1


def test_gives_up_on_a_probe_that_hangs_and_does_not_pile_up(monkeypatch):
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.1)
    release, asked = threading.Event(), []
    health.probe("hangs")(lambda: (asked.append(1), release.wait(60), Finding())[-1])
    started = time.monotonic()
    found = [health.ask(["hangs"], max_age=0)["hangs"] for _ in range(3)]
    release.set()
    assert time.monotonic() - started < 20
    assert {each.status for each in found} == {Status.FAILED}
    assert len(asked) == 1


def test_answers_probes_whatever_host_they_name(client):
    assert client.get("/health/live", HTTP_HOST="10.42.0.7:8000").status_code == 200
    assert client.post("/health/live").status_code == 405
