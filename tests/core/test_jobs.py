"""Jobs: written once, run under a lease, retried, buried, and never run twice by one message."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from audit.models import Event
from core import clock, context, jobs, redis
from core.actor import SYSTEM, Actor, ActorType
from core.errors import ProviderUnavailable, RuleBroken
from core.ids import new_id
from core.jobs import JobRun, Priority, publishing
from core.jobs.registry import kinds
from core.jobs.runner import backoff_for, run_inline
from core.models import Job, JobState
from core.relay import HeldLease
from core.relay import jobs as duties

STAFF = Actor(ActorType.STAFF, new_id())
USER = Actor(ActorType.USER, new_id(), organization_id=new_id())


@pytest.fixture
def ran() -> list[JobRun]:
    return []


@pytest.fixture(autouse=True)
def handlers(ran: list[JobRun], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = dict(kinds)
    monkeypatch.setattr(publishing, "_rests_until", 0.0)

    @jobs.job("tests.count")
    def count(run: JobRun) -> dict[str, Any]:
        ran.append(run)
        run.progress(1, 2)
        return {"seen": run.payload}

    @jobs.job("tests.crash", max_attempts=2)
    def crash(run: JobRun) -> None:
        ran.append(run)
        raise ValueError("the secret is 42")

    @jobs.job("tests.refuse", max_attempts=5)
    def refuse(run: JobRun) -> None:
        ran.append(run)
        raise RuleBroken("Not on a Sunday.")

    @jobs.job("tests.unavailable", max_attempts=3)
    def unavailable(run: JobRun) -> None:
        ran.append(run)
        if run.attempt < 3:
            raise ProviderUnavailable

    yield
    kinds.clear()
    kinds.update(known)


@pytest.mark.django_db(transaction=True)
def test_runs_as_who_asked_in_the_context_of_the_request(ran) -> None:
    with context.use(context.Context(source="api", request_id="r1", reason="asked", ip="192.0.2.1")):
        job = jobs.enqueue("tests.count", {"a": 1}, actor=USER, organization_id=USER.organization_id)
    assert run_inline(job.pk) is not None
    job.refresh_from_db()
    assert (job.state, job.result, job.attempts) == (JobState.SUCCEEDED, {"seen": {"a": 1}}, 1)
    assert (job.progress_done, job.progress_total, job.lease_until) == (1, 2, None)
    (run,) = ran
    assert (run.actor.type, run.actor.id) == (USER.type, USER.id)
    assert (run.context.source, run.context.request_id, run.context.reason) == ("job", "r1", "asked")
    assert run.context.organization_id == USER.organization_id
    assert "192.0.2.1" not in str(job.context)


@pytest.mark.django_db(transaction=True)
def test_does_nothing_on_a_message_delivered_again(ran) -> None:
    job = jobs.enqueue("tests.count", {}, actor=SYSTEM)
    assert run_inline(job.pk) is not None
    assert run_inline(job.pk) is None
    assert run_inline(new_id()) is None
    assert len(ran) == 1


@pytest.mark.django_db(transaction=True)
def test_is_claimed_by_one_of_many(ran) -> None:
    job = jobs.enqueue("tests.count", {}, actor=SYSTEM)
    barrier = threading.Barrier(6)

    def work() -> None:
        barrier.wait()
        run_inline(job.pk)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ran) == 1


@pytest.mark.django_db(transaction=True)
def test_exists_once_for_a_unique_key() -> None:
    made: list[Job] = []
    barrier = threading.Barrier(6)

    def ask() -> None:
        barrier.wait()
        made.append(jobs.enqueue("tests.count", {}, actor=SYSTEM, unique_key="k"))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Job.objects.count() == 1
    assert len({job.pk for job in made}) == 1
    assert jobs.enqueue_many("tests.count", [({}, "k"), ({}, "l"), ({}, "l"), ({}, None)], actor=SYSTEM) == 2
    assert Job.objects.count() == 3


@pytest.mark.django_db
def test_may_be_asked_for_again_when_nothing_could_be_done() -> None:
    @jobs.job("tests.not_yet")
    def not_yet(run: JobRun) -> None:
        run.free_key()

    first = jobs.enqueue("tests.not_yet", {}, actor=SYSTEM, unique_key="k")
    assert jobs.enqueue("tests.not_yet", {}, actor=SYSTEM, unique_key="k").pk == first.pk
    jobs.drain()
    assert jobs.enqueue("tests.not_yet", {}, actor=SYSTEM, unique_key="k").pk != first.pk
    assert Job.objects.get(pk=first.pk).state == "succeeded"


@pytest.mark.django_db(transaction=True)
def test_is_not_there_when_its_transaction_rolls_back() -> None:
    with transaction.atomic():
        jobs.enqueue("tests.count", {}, actor=SYSTEM)
        transaction.set_rollback(True)
    assert not Job.objects.exists()
    assert duties.queued_messages() == 0


@pytest.mark.django_db(transaction=True)
def test_refuses_a_kind_that_nobody_handles() -> None:
    with pytest.raises(LookupError, match=r"tests\.nonsense"):
        jobs.enqueue("tests.nonsense", {}, actor=SYSTEM)


@pytest.mark.django_db(transaction=True)
def test_goes_to_the_dead_letters_after_its_last_attempt(ran) -> None:
    job = jobs.enqueue("tests.crash", {}, actor=SYSTEM)
    run_inline(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.published_at) == (JobState.QUEUED, 1, None)
    later = clock.now() + timedelta(hours=1)
    run_inline(job.pk, now=later)
    job.refresh_from_db()
    assert (job.state, job.attempts) == (JobState.DEAD, 2)
    assert job.error["code"] == "internal_error"
    assert "detail" not in job.error, "an exception's words are for staff only"
    assert job.error["exception"] == "ValueError: the secret is 42"
    event = Event.objects.get(type="core.job.died")
    assert (event.subject_id, event.data["attempts"]) == (job.pk, 2)


@pytest.mark.django_db(transaction=True)
def test_is_not_tried_again_after_a_refusal(ran) -> None:
    job = jobs.enqueue("tests.refuse", {}, actor=SYSTEM)
    assert jobs.drain(clock.now() + timedelta(days=1)) == 1
    job.refresh_from_db()
    assert (job.state, job.error["code"], job.error["detail"]) == (JobState.DEAD, "rule_broken", "Not on a Sunday.")


@pytest.mark.django_db(transaction=True)
def test_succeeds_once_the_provider_is_back(ran) -> None:
    job = jobs.enqueue("tests.unavailable", {}, actor=SYSTEM)
    for hour in range(1, 4):
        jobs.drain(clock.now() + timedelta(hours=hour))
    job.refresh_from_db()
    assert (job.state, job.error, [run.attempt for run in ran]) == (JobState.SUCCEEDED, None, [1, 2, 3])


@pytest.mark.parametrize(("attempts", "window"), [(1, 2), (2, 4), (5, 32), (40, 3600)])
def test_waits_within_a_window_that_doubles(attempts: int, window: int) -> None:
    waits = [backoff_for(2.0, attempts).total_seconds() for _ in range(200)]
    assert all(0 <= wait <= window for wait in waits)
    assert max(waits) > window / 2


@pytest.mark.django_db(transaction=True)
def test_runs_what_staff_wait_for_first(ran) -> None:
    jobs.enqueue("tests.count", {"n": 3}, actor=USER, priority=Priority.LOW)
    jobs.enqueue("tests.count", {"n": 2}, actor=USER)
    staff = jobs.enqueue("tests.count", {"n": 1}, actor=STAFF)
    assert (staff.priority, publishing.queue_for(staff.priority)) == (Priority.HIGH, "high")
    assert jobs.drain() == 3
    assert [run.payload["n"] for run in ran] == [1, 2, 3]


@pytest.mark.django_db(transaction=True)
def test_waits_for_its_moment(ran) -> None:
    moment = clock.now() + timedelta(hours=2)
    job = jobs.enqueue("tests.count", {}, actor=SYSTEM, run_at=moment)
    assert job.published_at is None
    assert jobs.drain() == 0
    assert jobs.drain(moment) == 1
    assert ran[0].now == moment


@pytest.mark.django_db(transaction=True)
def test_does_not_begin_after_its_deadline(ran) -> None:
    job = jobs.enqueue("tests.count", {}, actor=SYSTEM)
    Job.objects.update(deadline=clock.now() - timedelta(seconds=1))
    run_inline(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error["code"], ran) == (JobState.DEAD, "deadline_passed", [])


@pytest.mark.django_db(transaction=True)
def test_writes_nothing_once_another_worker_has_the_job() -> None:
    @jobs.job("tests.stolen")
    def stolen(run: JobRun) -> dict[str, Any]:
        # The lease ran out, the relay took the job back, and another worker claimed it.
        Job.objects.filter(pk=run.job_id).update(token=9, attempts=2)
        return {"mine": True}

    job = jobs.enqueue("tests.stolen", {}, actor=SYSTEM)
    run_inline(job.pk)
    job.refresh_from_db()
    assert (job.state, job.token, job.result) == (JobState.RUNNING, 9, None)


@pytest.mark.django_db(transaction=True)
def test_tells_a_worker_that_lost_its_lease_at_the_next_progress() -> None:
    reached: list[int] = []

    @jobs.job("tests.stolen_midway")
    def stolen(run: JobRun) -> None:
        run.progress(1, 10)
        reached.append(1)
        Job.objects.filter(pk=run.job_id).update(token=9)
        run.progress(2, 10)
        reached.append(2)

    job = jobs.enqueue("tests.stolen_midway", {}, actor=SYSTEM)
    run_inline(job.pk)
    job.refresh_from_db()
    assert (reached, job.state, job.progress_done) == ([1], JobState.RUNNING, 1)


@pytest.mark.django_db(transaction=True)
class TestRelay:
    @pytest.fixture
    def lease(self) -> HeldLease:
        held = HeldLease.for_this_process("relay")
        assert held.take()
        return held

    def test_hands_over_again_at_once_what_a_broker_forgot(self, lease, settings) -> None:
        jobs.enqueue("tests.count", {}, actor=SYSTEM)
        duties.recall_forgotten(lease)
        assert duties.publish_due(lease) == 1, "nobody knew what the broker had"
        assert (duties.recall_forgotten(lease), duties.publish_due(lease)) == (0, 0), "the broker has it"
        redis.client().flushdb()
        assert (duties.recall_forgotten(lease), duties.publish_due(lease)) == (1, 1)
        assert duties.queued_messages() == 1
        redis.client().flushdb()
        settings.BROKER_IS_OUR_REDIS = False
        assert duties.recall_forgotten(lease) == 0, "another server's memory says nothing about the broker's"

    def test_hands_over_again_what_was_lost(self, lease, ran) -> None:
        job = jobs.enqueue("tests.count", {}, actor=SYSTEM)
        assert duties.queued_messages() == 1, "published on commit"
        assert duties.publish_due(lease) == 0, "the broker has it"
        long_ago = clock.now() - timedelta(seconds=duties.LOST_SECONDS + 1)
        Job.objects.update(published_at=long_ago)
        assert duties.publish_due(lease) == 0, "messages wait, so the workers are busy"
        assert len(self.messages()) == 1
        assert duties.publish_due(lease) == 1, "the queue is empty, so the message was lost"
        assert self.messages() == [str(job.pk)]

    def test_hands_over_again_what_was_overtaken_while_the_queue_is_busy(self, lease) -> None:
        """A queue is emptied in order: when a later job runs, the worker that took the earlier one died with it."""
        early, later, waiting, low = (
            jobs.enqueue("tests.count", {}, actor=SYSTEM, priority=priority) for priority in (5, 5, 5, 9)
        )

        def handed_over(job: Job, seconds_ago: float) -> None:
            Job.objects.filter(pk=job.pk).update(published_at=clock.now() - timedelta(seconds=seconds_ago))

        for job, seconds_ago in ((early, 50), (later, 40), (waiting, 35), (low, 50)):
            handed_over(job, seconds_ago)
        assert duties.publish_due(lease) == 0, "all wait behind busy workers"
        Job.objects.filter(pk=later.pk).update(state="running", attempts=1, publications=2)
        assert duties.publish_due(lease) == 0, "it may run by an earlier message of its own"
        Job.objects.filter(pk=later.pk).update(publications=1)
        assert duties.publish_due(lease) == 1
        early.refresh_from_db()
        assert early.publications == 2
        assert early.published_at > clock.now() - timedelta(seconds=5)
        assert duties.publish_due(lease) == 0, "the others were not overtaken in their own queue"

    def test_hands_over_what_was_never_published(self, lease) -> None:
        jobs.enqueue_many("tests.count", [({}, None)] * 3, actor=SYSTEM)
        jobs.enqueue("tests.count", {}, actor=SYSTEM, run_at=clock.now() + timedelta(hours=1))
        assert duties.publish_due(lease) == 3
        assert duties.publish_due(lease) == 0
        assert len(self.messages()) == 3

    def test_takes_back_a_job_whose_worker_died(self, lease, ran) -> None:
        job = jobs.enqueue("tests.count", {}, actor=SYSTEM)
        Job.objects.update(state="running", attempts=1, token=1, lease_until=clock.now() + timedelta(seconds=5))
        assert duties.take_back(lease) == 0
        Job.objects.update(lease_until=clock.now() - timedelta(seconds=1))
        assert duties.take_back(lease) == 1
        job.refresh_from_db()
        assert (job.state, job.attempts, job.published_at) == (JobState.QUEUED, 1, None)
        run_inline(job.pk)
        job.refresh_from_db()
        assert (job.state, job.attempts, job.token) == (JobState.SUCCEEDED, 2, 2)

    def test_buries_a_job_that_kills_its_workers(self, lease) -> None:
        job = jobs.enqueue("tests.count", {}, actor=SYSTEM)
        Job.objects.update(state="running", attempts=3, token=3, lease_until=clock.now() - timedelta(seconds=1))
        assert duties.take_back(lease) == 1
        job.refresh_from_db()
        assert (job.state, job.error["code"]) == (JobState.DEAD, "worker_lost")
        assert Event.objects.filter(type="core.job.died", subject_id=job.pk).count() == 1

    def test_forgets_what_ended_well_long_ago_and_keeps_the_dead(self, lease, settings) -> None:
        settings.JOB_RETENTION_DAYS = 30
        old = clock.now() - timedelta(days=31)
        for state in ("succeeded", "discarded", "dead", "queued"):
            job = jobs.enqueue("tests.count", {}, actor=SYSTEM)
            Job.objects.filter(pk=job.pk).update(state=state, finished_at=old)
        jobs.enqueue("tests.count", {}, actor=SYSTEM)
        assert duties.forget_finished(lease) == 2
        assert set(Job.objects.values_list("state", flat=True)) == {"dead", "queued"}

    def messages(self) -> list[str]:
        """Take what waits in the broker, as a worker would."""
        from celery import current_app

        taken = []
        with current_app.connection_for_read() as broker:
            for name in publishing.QUEUES:
                queue = broker.SimpleQueue(name)
                while True:
                    try:
                        message = queue.get(block=False)
                    except queue.Empty:
                        break
                    taken.append(message.payload[0][0])
                    message.ack()
                queue.close()
        return taken


@pytest.mark.django_db(transaction=True)
def test_is_committed_though_the_broker_is_down(monkeypatch) -> None:
    from celery import current_app

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(current_app, "send_task", refuse)
    job = jobs.enqueue("tests.count", {}, actor=SYSTEM)
    job.refresh_from_db()
    assert (job.state, job.published_at) == (JobState.QUEUED, None)
