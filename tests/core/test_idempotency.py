"""A POST sent again with its key is answered again, not done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connections
from django.test import Client

from core import clock, idempotency
from core.idempotency import Claim, LeaseLost, StoredReply
from core.models import IdempotencyKey, Job
from core.relay.duties import duties
from tests.core import toy

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.toy")]

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _fresh() -> None:
    toy.calls.clear()
    toy.gate.clear()


def send(key: str | None, body: Any = None, path: str = "jobs", user: int = 7) -> Any:
    headers = {"Authorization": f"Bearer {user}"} | ({} if key is None else {"Idempotency-Key": key})
    client = Client(raise_request_exception=False)
    content = json.dumps({"kind": "a"} if body is None else body)
    return client.post(f"/api/v1/{path}", content, content_type="application/json", headers=headers)


def test_answers_a_replay_with_the_same_bytes() -> None:
    first, second = send("one"), send("one")
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert first.headers["ETag"] == second.headers["ETag"]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Job.objects.count() == 1


def test_sees_the_same_body_behind_another_spelling() -> None:
    send("one", {"kind": "a", "priority": 1})
    assert send("one", {"priority": 1, "kind": "a"}).headers["Idempotent-Replayed"] == "true"


def test_refuses_the_key_of_another_body() -> None:
    send("one")
    again = send("one", {"kind": "b"})
    assert again.status_code == 422
    assert again.json()["code"] == "idempotency_key_reused"
    assert Job.objects.count() == 1


def test_keeps_keys_of_others_apart() -> None:
    send("one")
    assert "Idempotent-Replayed" not in send("one", user=8).headers
    assert "Idempotent-Replayed" not in send("one", path="jobs/keys").headers
    assert Job.objects.count() == 3


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
def test_refuses_a_key_of_another_shape(key: str) -> None:
    assert send(key).status_code == 400
    assert Job.objects.count() == 0


def test_asks_for_a_key_where_money_moves() -> None:
    response = send(None, path="jobs/charge")
    assert response.status_code == 428
    assert response.json()["code"] == "idempotency_key_required"


def test_forgets_the_key_of_a_faulty_body() -> None:
    assert send("one", {"kind": 5}).status_code == 400
    assert send("one", {"kind": "a"}).status_code == 201
    assert IdempotencyKey.objects.count() == 1


def test_keeps_the_refusal_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[Any] = []
    monkeypatch.setattr("core.commands.record", lambda event, **values: recorded.append(values))
    job = Job.objects.create(kind="a", requested_by_type="user")
    first = send("one", {}, f"jobs/{job.public_id}/cancel")
    second = send("one", {}, f"jobs/{job.public_id}/cancel")
    assert first.status_code == second.status_code == 409
    assert first.content == second.content
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Content-Type"] == "application/problem+json"
    assert len(recorded) == 1


def test_undoes_and_forgets_what_crashed() -> None:
    assert send("one", path="jobs/crash").status_code == 500
    assert Job.objects.count() == 0
    assert IdempotencyKey.objects.count() == 0


def test_never_keeps_a_reply_that_holds_a_secret() -> None:
    assert send("one", path="jobs/keys").status_code == 200
    again = send("one", path="jobs/keys")
    assert again.status_code == 409
    assert again.json()["code"] == "reply_not_kept"
    assert Job.objects.count() == 1
    assert IdempotencyKey.objects.get().reply_body is None


def test_resumes_an_operation_under_the_same_name() -> None:
    body = {"kind": "provider_down"}
    assert send("one", body, "jobs/charge").status_code == 503
    assert send("one", {"kind": "other"}, "jobs/charge").status_code == 422
    assert send("one", body, "jobs/charge").status_code == 200
    assert len(toy.calls) == 2
    assert len(set(toy.calls)) == 1
    assert Job.objects.count() == 1


def test_names_operations_without_key_apart() -> None:
    for number in (1, 2):
        claimed = idempotency.claim(scope="s", key=str(number), fingerprint="f")
        assert isinstance(claimed, Claim)
        toy.calls.append(claimed.operation_key)
    assert len(set(toy.calls)) == 2


def test_takes_over_a_dead_claim_and_shuts_out_its_former_holder() -> None:
    first = idempotency.claim(scope="s", key="k", fingerprint="f")
    assert isinstance(first, Claim)
    IdempotencyKey.objects.update(lease_until=clock.now())
    second = idempotency.claim(scope="s", key="k", fingerprint="f")
    assert isinstance(second, Claim)
    assert (second.token, second.operation_key) == (2, first.operation_key)
    with pytest.raises(LeaseLost):
        idempotency.complete(first, status=200, headers={}, body=b"")
    idempotency.release(first, is_begun=False)
    idempotency.complete(second, status=201, headers={"ETag": '"v1"'}, body=b"x")
    assert idempotency.claim(scope="s", key="k", fingerprint="f") == StoredReply(201, {"ETag": '"v1"'}, b"x")


def test_begins_anew_after_a_day() -> None:
    send("one")
    IdempotencyKey.objects.update(expires_at=clock.now(), lease_until=clock.now() - timedelta(days=1))
    assert send("one", {"kind": "b"}).status_code == 201
    assert Job.objects.count() == 2


def test_purges_what_is_older_than_a_day() -> None:
    send("old")
    IdempotencyKey.objects.update(expires_at=clock.now(), lease_until=clock.now())
    send("fresh")
    assert idempotency.purge() == 1
    assert IdempotencyKey.objects.get().key == "fresh"


@pytest.mark.django_db(transaction=True)
def test_makes_one_effect_of_fifty_requests_at_once(live_server: Any) -> None:
    def post() -> None:
        while True:
            try:
                response = httpx.post(
                    f"{live_server.url}/api/v1/jobs",
                    json={"kind": "a"},
                    headers={"Authorization": "Bearer 7", "Idempotency-Key": "one"},
                    timeout=60,
                )
                break
            except httpx.TransportError:  # the test server queues ten connections: sent again, as a client would
                time.sleep(0.05)
        answers[response.status_code] += 1
        if response.status_code == 201:
            bodies.add(response.content)
        else:
            assert response.headers["Retry-After"] == "1"

    answers: Counter[int] = Counter()
    bodies: set[bytes] = set()
    threads = [threading.Thread(target=post) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {201, 409}
    assert sum(answers.values()) == 50
    assert answers[201] >= 1
    assert len(bodies) == 1
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_says_that_the_first_still_runs() -> None:
    def first() -> None:
        answers.append(send("one", path="jobs/wait").status_code)
        connections.close_all()

    answers: list[int] = []
    thread = threading.Thread(target=first)
    thread.start()
    while not toy.calls:
        time.sleep(0.01)
    response = send("one", path="jobs/wait")
    assert response.status_code == 409
    assert response.json()["code"] == "request_in_progress"
    assert response.headers["Retry-After"] == "1"
    toy.gate.set()
    thread.join()
    assert answers == [200]
    assert Job.objects.count() == 1


_CHILD = """
import os, sys, json
import django
from django.conf import settings
django.setup()
settings.ROOT_URLCONF = "tests.core.toy"
settings.ALLOWED_HOSTS = ["testserver"]
settings.DATABASES["default"].update(json.loads(os.environ["CHILD_DATABASE"]))
from django.test import Client
from tests.core import toy
if sys.argv[1] == "jobs/charge":
    from core.api import once
    def stop(*arguments):
        print("ready", flush=True); toy.gate.wait(60)
    once._complete = stop
else:
    class Gate:
        def wait(self, seconds):
            print("ready", flush=True); toy.threading.Event().wait(60)
    toy.gate = Gate()
headers = {"Authorization": "Bearer 7", "Idempotency-Key": "one"}
Client().post("/api/v1/" + sys.argv[1], '{"kind": "a"}', content_type="application/json", headers=headers)
"""


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["jobs/wait", "jobs/charge"])
def test_ends_with_one_effect_when_the_process_is_killed(path: str, settings: Any) -> None:
    database = {name: settings.DATABASES["default"][name] for name in ("NAME", "USER", "HOST", "PORT", "PASSWORD")}
    environment = {
        **os.environ,
        "IDEMPOTENCY_LEASE": "2",
        "CHILD_DATABASE": json.dumps(database),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(REPOSITORY),
    }
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, path], env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    assert send("one", path=path).status_code == 409
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    toy.gate.set()
    until = time.monotonic() + 20
    while (response := send("one", path=path)).status_code == 409:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert response.status_code == 200
    assert send("one", path=path).headers["Idempotent-Replayed"] == "true"
    assert Job.objects.count() == 1


def test_is_a_duty_of_the_relay_to_forget_old_keys() -> None:
    class Lease:
        held = 0

        def hold(self) -> None:
            self.held += 1

    for number in range(3):
        send(str(number))
    IdempotencyKey.objects.exclude(key="2").update(expires_at=clock.now(), lease_until=clock.now())
    lease: Any = Lease()
    assert duties["idempotency keys"].function(lease) == 2
    assert lease.held == 1
    assert IdempotencyKey.objects.get().key == "2"
