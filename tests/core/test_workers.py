"""A worker stays at work, or ends. It..."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta

import psutil
import pytest
from celery import current_app
from django.core.management import call_command
from redis.exceptions import ConnectionError as ConnectionLost

from core import clock, health, jobs
from core.actor import SYSTEM
from core.health import Status
from core.models import Job, WorkerMark
from core.workers import marks, watch
from core.workers.transport import Channel
from core.workers.watch import Judge
from tests.support.processes import Processes, Running
from tests.support.slow_jobs.standing import STAND_STILL, TURN_DEAF

OBEDIENT = {"DJANGO_SETTINGS_MODULE": "tests.support.slow_settings"}


def eventually(is_so: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.05)


class TestJudge:
    def looks(self, *seen: tuple[bool, bool, int | None]) -> list[str]:
        """Return what it says at looks ten seconds apart, each (has beaten, is idle, messages waiting)."""
        judge = Judge()
        return [
            judge.look(10.0 * number, has_beaten=has_beaten, is_idle=is_idle, waiting=waiting)
            for number, (has_beaten, is_idle, waiting) in enumerate(seen)
        ]

    def test_ends_a_loop_that_stands_while_the_broker_answers(self) -> None:
        assert self.looks(*[(False, True, 0)] * 4) == ["", "", "", "its message loop stands still"]
        assert self.looks(*[(False, False, 7)] * 4)[-1]

    def test_leaves_alone_what_waits_for_a_broker_that_is_away(self) -> None:
        assert not any(self.looks(*[(False, True, None)] * 20))

    def test_begins_to_count_when_the_broker_is_back(self) -> None:
        found = self.looks(*[(False, True, None)] * 9, *[(False, True, 0)] * 4)
        assert [bool(reason) for reason in found] == [False] * 12 + [True]

    def test_begins_anew_after_a_beat(self) -> None:
        found = self.looks(*[(False, True, 0)] * 3, (True, True, 0), *[(False, True, 0)] * 3)
        assert not any(found)

    def test_ends_an_idle_worker_that_takes_none_of_what_waits(self) -> None:
        found = self.looks(*[(True, True, 1)] * 7)
        assert found == [""] * 6 + ["messages wait and it takes none"]

    def test_leaves_alone_a_worker_that_is_busy_or_has_nothing_to_take(self) -> None:
        assert not any(self.looks(*[(True, False, None)] * 20))
        assert not any(self.looks(*[(True, True, 0)] * 20))
        assert not any(self.looks(*[(True, True, 5), (True, False, None)] * 10))


def test_takes_a_closed_connection_for_a_lost_one() -> None:
    with current_app.connection_for_read() as broker:
        channel = broker.channel()
        assert isinstance(channel, Channel)
        with channel.conn_or_acquire() as client:
            assert client.ping()
        channel._disconnect_pools()
        broker.transport.client = None  # as `Connection.collect` leaves a transport whose channels could not be closed
        with pytest.raises(ConnectionLost), channel.conn_or_acquire():
            pass
        assert issubclass(ConnectionLost, broker.connection_errors)


@pytest.mark.django_db(transaction=True)
class TestMarks:
    @pytest.fixture(autouse=True)
    def anew(self) -> None:
        health.forget()

    def age(self, pid: int, seconds: float) -> None:
        WorkerMark.objects.filter(pid=pid).update(beat_at=clock.now() - timedelta(seconds=seconds))

    def finding(self) -> tuple[Status, int]:
        found = health.ask(["workers"], max_age=0)["workers"]
        return found.status, found.inner["alive"]

    def test_are_renewed_and_forgotten(self) -> None:
        marks.write(11)
        self.age(11, 20)
        marks.write(11)
        (mark,) = marks.marks()
        assert (mark.host, mark.pid, mark.is_silent) == (marks.this_host(), 11, False)
        assert mark.seconds < 10
        marks.forget(11)
        assert not marks.marks()

    def test_tell_health_who_is_alive(self) -> None:
        assert self.finding() == (Status.WARNING, 0)
        marks.write(11)
        assert self.finding() == (Status.OK, 1)
        marks.write(12)
        self.age(11, marks.SILENT_SECONDS + 1)
        assert self.finding() == (Status.WARNING, 1)
        assert marks.is_silent(11)
        assert not marks.is_silent(12)
        assert not marks.is_silent(13), "of whom nothing is known nothing is said"

    def test_of_processes_that_are_no_more_go_when_a_worker_starts(self) -> None:
        marks.write(os.getpid())
        marks.write(2**22 + 1)
        WorkerMark.objects.create(host="elsewhere", pid=2**22 + 1, started_at=clock.now(), beat_at=clock.now())
        marks.forget_dead()
        assert {str(mark) for mark in WorkerMark.objects.all()} == {
            f"{marks.this_host()}:{os.getpid()}",
            f"elsewhere:{2**22 + 1}",
        }

    def test_answer_a_container_by_the_exit_code(self) -> None:
        def probe() -> int:
            try:
                call_command("worker_alive", stdout=io.StringIO(), stderr=io.StringIO())
            except SystemExit as ended:
                return int(str(ended.code))
            return 0

        WorkerMark.objects.create(host="elsewhere", pid=1, started_at=clock.now(), beat_at=clock.now())
        assert probe() == 1, "another host's worker says nothing about this one"
        marks.write(11)
        assert probe() == 0
        self.age(11, marks.SILENT_SECONDS + 1)
        assert probe() == 1


@pytest.mark.django_db(transaction=True)
class TestProcess:
    @pytest.fixture
    def worker(self, processes: Processes, slow_jobs: None) -> Running:
        worker = processes.worker(**OBEDIENT)
        eventually(lambda: WorkerMark.objects.filter(pid=worker.process.pid).exists(), "its mark")
        return worker

    def assert_ends(self, worker: Running, reason: str) -> None:
        """It ends with the watch's own code, and its pool with it."""
        pool = worker.children
        assert worker.process.wait(30) == watch.EXIT_CODE, worker.text[-2000:]
        assert reason in worker.text
        assert "most recent call first" in worker.text, "where it stood"
        eventually(lambda: not any(map(psutil.pid_exists, pool)), "the end of its pool", 5)

    def test_takes_its_mark_away_at_a_clean_stop(self, worker: Running) -> None:
        assert worker.stop() == 0
        assert not WorkerMark.objects.exists()

    def test_ends_when_its_loop_stands_still(self, worker: Running) -> None:
        os.kill(worker.process.pid, STAND_STILL)
        self.assert_ends(worker, "its message loop stands still")

    def test_ends_when_it_takes_nothing_though_messages_wait(self, worker: Running) -> None:
        os.kill(worker.process.pid, TURN_DEAF)
        time.sleep(1.5)  # until a message that it had asked for would have come
        for _ in range(3):
            jobs.enqueue("tests.slow", {"id": str(clock.now())}, actor=SYSTEM)
        self.assert_ends(worker, "messages wait and it takes none")

    def test_lives_on_while_it_is_busy_or_has_nothing_to_do(self, worker: Running) -> None:
        for number in range(6):
            jobs.enqueue(
                "tests.slow", {"id": f"01a204b8-5918-75c3-be96-9c3ffae8ab{number:02d}", "seconds": 2.5}, actor=SYSTEM
            )
        eventually(lambda: Job.objects.filter(state="succeeded").count() == 6, "the work")
        time.sleep(4)
        assert worker.is_alive, worker.text[-2000:]

    def test_goes_silent_when_it_is_stopped_from_outside(self, worker: Running, monkeypatch) -> None:
        monkeypatch.setattr(marks, "SILENT_SECONDS", 6.0)
        assert not marks.is_silent(worker.process.pid)
        os.kill(worker.process.pid, signal.SIGSTOP)
        eventually(lambda: marks.is_silent(worker.process.pid), "silence", 15)
        os.kill(worker.process.pid, signal.SIGCONT)
        eventually(lambda: not marks.is_silent(worker.process.pid), "a beat", 10)
