"""Jobs over HTTP: their owner and staff see them, staff replay and discard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from accounts.actors import actor_of_user
from audit.models import Event
from core import clock, jobs
from core.actor import SYSTEM
from core.errors import RuleBroken
from core.jobs import JobRun
from core.jobs.registry import kinds
from core.models import Job

pytestmark = pytest.mark.django_db
JOBS = "/api/v1/jobs"


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    known = dict(kinds)

    @jobs.job("tests.report")
    def report(run: JobRun) -> dict[str, int]:
        run.progress(2, 2)
        return {"rows": 2}

    @jobs.job("tests.refuse")
    def refuse(run: JobRun) -> None:
        raise RuleBroken("Not today.")

    @jobs.job("tests.crash", max_attempts=1)
    def crash(run: JobRun) -> None:
        raise ValueError("the secret is 42")

    yield
    kinds.clear()
    kinds.update(known)


def asked_by(person, kind: str = "tests.report") -> Job:
    return jobs.enqueue(kind, {"secret": "payload"}, actor=actor_of_user(person))


def test_tells_its_owner_how_it_goes(api, owner) -> None:
    job = asked_by(owner)
    client = api(owner)
    assert client.get(f"{JOBS}/{job.public_id}").json()["state"] == "queued"
    jobs.drain()
    found = client.get(f"{JOBS}/{job.public_id}")
    assert found.status_code == 200
    body = found.json()
    assert (body["state"], body["result"], body["error"]) == ("succeeded", {"rows": 2}, None)
    assert (body["progress_done"], body["progress_total"]) == (2, 2)
    assert "payload" not in found.content.decode()
    assert [row["id"] for row in client.get(JOBS).json()["data"]] == [job.public_id]


def test_hides_it_from_everybody_else(api, owner, team_mate, stranger) -> None:
    job = asked_by(owner)
    for person in (team_mate, stranger):
        client = api(person)
        assert client.get(f"{JOBS}/{job.public_id}").status_code == 404
        assert client.get(JOBS).json()["data"] == []
        assert client.post(f"{JOBS}/{job.public_id}/replay").status_code == 404
    assert api().get(f"{JOBS}/{job.public_id}").status_code == 401


def test_shows_its_owner_the_problem_and_not_the_exception(api, owner) -> None:
    refused, crashed = asked_by(owner, "tests.refuse"), asked_by(owner, "tests.crash")
    jobs.drain()
    client = api(owner)
    assert client.get(f"{JOBS}/{refused.public_id}").json()["error"]["detail"] == "Not today."
    reply = client.get(f"{JOBS}/{crashed.public_id}")
    assert reply.json()["error"] == {"code": "internal_error", "title": "Something went wrong", "status": 500}
    assert "secret" not in reply.content.decode()


def test_is_replayed_by_staff_with_an_event(api, owner, staff) -> None:
    job = asked_by(owner, "tests.refuse")
    jobs.drain()
    reply = api(staff).post(f"{JOBS}/{job.public_id}/replay")
    assert (reply.status_code, reply.json()["state"], reply.json()["attempts"]) == (200, "queued", 0)
    event = Event.objects.get(type="core.job.replayed")
    assert (event.subject_id, event.actor_type, event.actor_id) == (job.pk, "staff", staff.pk)
    assert jobs.drain(clock.now() + timedelta(seconds=1)) == 1


def test_is_discarded_by_staff_and_then_stays_so(api, owner, staff) -> None:
    job = asked_by(owner, "tests.refuse")
    jobs.drain()
    client = api(staff)
    assert client.post(f"{JOBS}/{job.public_id}/discard").json()["state"] == "discarded"
    again = client.post(f"{JOBS}/{job.public_id}/replay")
    assert again.status_code == 409
    assert (again.json()["current_status"], again.json()["allowed_commands"]) == ("discarded", [])
    assert Event.objects.filter(type="core.command.refused", subject_id=job.pk).count() == 1


def test_is_not_replayed_by_its_owner(api, owner) -> None:
    job = asked_by(owner, "tests.refuse")
    jobs.drain()
    assert api(owner).post(f"{JOBS}/{job.public_id}/replay").status_code == 403


def test_is_listed_by_state_in_a_constant_number_of_queries(api, staff, django_assert_num_queries) -> None:
    for _ in range(5):
        jobs.enqueue("tests.report", {}, actor=SYSTEM)
    client = api(staff)
    assert len(client.get(f"{JOBS}?state=queued&limit=50").json()["data"]) >= 5
    assert client.get(f"{JOBS}?state=nonsense").status_code == 400
    assert client.get(f"{JOBS}?nonsense=1").status_code == 400
