"""The relay as a real process: one leads, any may die, nothing is lost and nothing sealed twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

import audit
from audit.models import Event, Position, Unsealed
from audit.services.verification import verify
from core import clock, jobs, schedules
from core.actor import SYSTEM
from core.events import EventType, Subject, catalogue
from core.health import Finding, Status
from core.ids import new_id
from core.models import Job, JobState, Lease, Schedule
from core.relay import HeldLease, NotLeading, duties, leader
from core.relay.duties import Duty
from core.relay.loop import Relay

pytestmark = pytest.mark.django_db(transaction=True)
SLOW = {"DJANGO_SETTINGS_MODULE": "tests.support.slow_settings"}


@pytest.fixture
def write() -> Iterator[Callable[[], None]]:
    """Record one event in a transaction of its own."""
    event = EventType("tests.relay.noted", "thing", "Something was noted.")

    def note() -> None:
        with transaction.atomic():
            audit.record(event, actor=SYSTEM, subject=Subject("thing", new_id()))

    yield note
    del catalogue[event.name]


def eventually(is_so: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.05)


class TestHealth:
    def test_says_who_leads(self) -> None:
        HeldLease("relay", "a").take()
        assert leader.relay() == Finding(inner={"leader": "a"})

    def test_warns_when_nobody_ever_led(self) -> None:
        assert leader.relay().status is Status.WARNING

    @pytest.mark.parametrize(("late", "expected"), [(10, Status.OK), (40, Status.WARNING)])
    def test_leaves_time_for_another_to_take_over(self, late: int, expected: Status) -> None:
        HeldLease("relay", "a").take()
        Lease.objects.update(expires_at=clock.now() - timedelta(seconds=late))
        assert leader.relay().status is expected

    def test_warns_after_a_clean_stop(self) -> None:
        lease = HeldLease("relay", "a")
        lease.take()
        lease.give_up()
        assert leader.relay().status is Status.WARNING


class TestLease:
    def test_is_held_by_one(self) -> None:
        first, second = HeldLease("relay", "a"), HeldLease("relay", "b")
        assert first.take()
        assert not second.take()
        assert first.take(), "it is renewed"
        assert first.token == 1

    def test_rises_with_each_change_of_hands(self) -> None:
        first, second = HeldLease("relay", "a"), HeldLease("relay", "b")
        assert first.take()
        Lease.objects.update(expires_at=clock.now() - timedelta(seconds=1))
        assert second.take()
        assert second.token == 2
        with pytest.raises(NotLeading):
            first.hold()
        assert not first.take()

    def test_passes_on_at_once_when_given_up(self) -> None:
        first, second = HeldLease("relay", "a"), HeldLease("relay", "b")
        assert first.take()
        first.give_up()
        assert second.take()

    def test_keeps_the_next_one_out_until_what_is_written_has_committed(self) -> None:
        first, second = HeldLease("relay", "a"), HeldLease("relay", "b")
        assert first.take()
        taken: list[float] = []

        def take_over() -> None:
            while not second.take():
                time.sleep(0.01)
            taken.append(time.monotonic())
            connection.close()

        thief = threading.Thread(target=take_over)
        with transaction.atomic():
            first.hold()
            with connection.cursor() as cursor:
                cursor.execute("UPDATE core_lease SET expires_at = '-infinity'")
            thief.start()
            time.sleep(0.3)
            assert not taken
        thief.join(10)
        assert len(taken) == 1


class TestSchedules:
    @pytest.fixture(autouse=True)
    def own(self, slow_jobs, monkeypatch) -> None:
        monkeypatch.setattr(schedules, "declared", {})
        schedules.schedule("tests.each_minute", kind="tests.slow", cron="* * * * *")

    @pytest.fixture
    def lease(self) -> HeldLease:
        held = HeldLease.for_this_process("relay")
        assert held.take()
        return held

    def test_make_one_job_for_each_due_moment(self, lease) -> None:
        assert schedules.make_due_jobs(lease) == 0, "the first moment lies ahead"
        Schedule.objects.update(next_run_at=clock.now() - timedelta(minutes=90))
        assert schedules.make_due_jobs(lease) == 1, "what was missed makes one job"
        assert schedules.make_due_jobs(lease) == 0
        row = Schedule.objects.get()
        assert clock.now() < row.next_run_at <= clock.now() + timedelta(minutes=1)
        job = Job.objects.get()
        assert (job.kind, job.requested_by_type) == ("tests.slow", "system")

    def test_make_the_job_once_also_when_the_moment_is_taken_twice(self) -> None:
        due = datetime(2026, 3, 1, 12, tzinfo=UTC)
        row = Schedule(name="tests.twice", kind="tests.slow", cron="* * * * *", next_run_at=due)
        row.save()
        for _ in range(2):
            row.next_run_at = due
            schedules.run_due(row, due)
        assert Job.objects.filter(unique_key__startswith="schedule:tests.twice").count() == 1

    def test_keep_what_staff_changed(self, lease) -> None:
        schedules.make_due_jobs(lease)
        Schedule.objects.update(is_enabled=False, cron="0 5 * * *", next_run_at=clock.now() - timedelta(days=1))
        assert schedules.make_due_jobs(lease) == 0
        assert Schedule.objects.get().cron == "0 5 * * *"

    @pytest.mark.parametrize("cron", ["nonsense", "* * * *", "61 * * * *", "* * * * * *"])
    def test_refuse_what_is_no_cron_expression(self, cron) -> None:
        with pytest.raises(ValueError):
            schedules.schedule("tests.bad", kind="tests.slow", cron=cron)


def test_does_what_is_due_once_and_ends(write, processes) -> None:
    write()
    done = processes.run("relay", "--once")
    assert (done.returncode, Unsealed.objects.count(), Position.objects.count()) == (0, 0, 1), done.stderr
    assert HeldLease("relay", "next").take(), "the lease was given up"
    Lease.objects.update(expires_at=clock.now() + timedelta(hours=1))
    refused = processes.run("relay", "--once")
    assert refused.returncode == 3
    assert "Another relay leads" in refused.stderr


def test_goes_on_with_other_duties_when_one_fails(monkeypatch, write) -> None:
    def fail(lease: HeldLease) -> int:
        raise RuntimeError("broken")

    monkeypatch.setitem(duties, "broken", Duty("broken", fail, 0, 1))
    write()
    assert Relay().run_once() >= 1
    assert not Unsealed.objects.exists()


@pytest.mark.faults
def test_stops_cleanly_and_the_next_one_leads_at_once(processes, write) -> None:
    first = processes.relay()
    eventually(lambda: Lease.objects.filter(token=1).exists(), "the lease")
    second = processes.relay()
    write()
    eventually(lambda: not Unsealed.objects.exists(), "sealing")
    assert first.stop() == 0
    write()
    eventually(lambda: not Unsealed.objects.exists(), "sealing by the second", seconds=5)
    assert second.stop() == 0
    assert "Traceback" not in first.text + second.text


@pytest.mark.faults
def test_goes_on_without_valkey_and_when_postgresql_drops_it(processes, write) -> None:
    relay = processes.relay(REDIS_URL="unix:///nonexistent/v.sock?db=0")
    write()
    eventually(lambda: not Unsealed.objects.exists(), "sealing by polling")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND usename = current_user AND datname = current_database()"
        )
    write()
    eventually(lambda: not Unsealed.objects.exists(), "sealing after the connection was lost")
    assert relay.is_alive
    assert relay.stop() == 0


@pytest.mark.faults
def test_seals_everything_once_however_often_relays_are_killed(processes, write) -> None:
    is_over = threading.Event()
    written: list[int] = []

    def keep_writing() -> None:
        while not is_over.is_set():
            with transaction.atomic():
                write()
                transaction.set_rollback(True)
            write()
            written.append(1)
            time.sleep(random.uniform(0, 0.01))
        connection.close()

    writers = [threading.Thread(target=keep_writing) for _ in range(3)]
    for writer in writers:
        writer.start()
    relays = [processes.relay(), processes.relay()]
    try:
        for _ in range(4):
            time.sleep(random.uniform(0.1, 1.0))
            victim = random.randrange(2)
            relays[victim].kill()
            # A dead leader's lease runs out after seconds; the test does not wait for them.
            Lease.objects.update(expires_at=clock.now() - timedelta(seconds=1))
            relays[victim] = processes.relay()
    finally:
        is_over.set()
        for writer in writers:
            writer.join()
    Lease.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    eventually(lambda: not Unsealed.objects.exists(), "the end of sealing")
    events = Event.objects.filter(type="tests.relay.noted")
    assert events.count() == len(written)
    assert set(Position.objects.values_list("event_id", flat=True)) == set(Event.objects.values_list("pk", flat=True))
    report = verify()
    assert report.is_sound, report.faults
    assert report.size == Event.objects.count()


@pytest.mark.faults
def test_loses_no_job_however_often_workers_and_relays_are_killed(processes, slow_jobs) -> None:
    wanted = [new_id() for _ in range(40)]
    relay, worker = processes.relay(**SLOW), processes.worker(**SLOW)
    jobs.enqueue_many(
        "tests.slow", [({"id": str(key), "seconds": 0.05}, str(key)) for key in wanted[:30]], actor=SYSTEM
    )
    for key in wanted[30:]:
        jobs.enqueue("tests.slow", {"id": str(key), "seconds": 0.05}, actor=SYSTEM, unique_key=str(key))
    for _ in range(2):
        time.sleep(random.uniform(0.2, 1.0))
        worker.kill()
        relay.kill()
        # What would be minutes of waiting: the leases of the dead run out, unheard messages count as lost.
        Lease.objects.update(expires_at=clock.now() - timedelta(seconds=1))
        relay, worker = processes.relay(**SLOW), processes.worker(**SLOW)
        Job.objects.filter(state="running").update(lease_until=clock.now() - timedelta(seconds=1))

    def is_done() -> bool:
        long_ago = clock.now() - timedelta(hours=1)
        Job.objects.filter(state="running", lease_until__lt=clock.now()).update(lease_until=long_ago)
        Job.objects.filter(state="queued", published_at__lt=clock.now() - timedelta(seconds=3)).update(
            published_at=None
        )
        return not Job.objects.exclude(state=JobState.SUCCEEDED).exists()

    eventually(is_done, "the last job", seconds=60)
    done = list(Event.objects.filter(type="tests.work.done").values_list("subject_id", flat=True))
    assert set(done) == set(wanted)
    assert Job.objects.filter(kind="tests.slow").count() == 40
    assert worker.stop() == 0


@pytest.mark.faults
def test_is_woken_by_a_commit(processes, write) -> None:
    poll_seconds = 10.0
    processes.relay(**SLOW, TESTS_POLL_SECONDS=str(poll_seconds))
    eventually(lambda: Lease.objects.exists(), "the lease")
    time.sleep(1.0)
    waits = []
    for _ in range(5):
        write()
        began = time.monotonic()
        while Unsealed.objects.exists():
            time.sleep(0.005)
        waits.append(time.monotonic() - began)
    assert sorted(waits)[2] < poll_seconds / 4, "without being woken it comes after half of that on average"
