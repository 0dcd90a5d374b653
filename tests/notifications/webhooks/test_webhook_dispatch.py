"""What goes when: in the order of the log, a few at a time, again when a worker died, and nobody in another's way."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from core import clock, jobs
from core.ids import new_id
from core.models import Job
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.services import webhook_deliveries, webhook_dispatch, webhook_replays
from notifications.states import SCHEDULE
from tests.notifications.webhooks.conftest import statuses
from tests.support.receiver import Receiver, Says

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]


@pytest.mark.parametrize("seed", range(3))
def test_keeps_the_order_whatever_fails(
    seed: int, endpoint: Any, happens: Run, run: Run, receiver: Receiver, calm: Run, settings: Any
) -> None:
    settings.WEBHOOK_DISABLE_AFTER_DAYS = 365
    chance = random.Random(seed)
    said = [Says(chance.choice([204, 204, 500])) for _ in range(120)] + [Says(204)]
    receiver.answers = list(said)
    subjects = [new_id() for _ in range(4)]
    happened: dict[str, Any] = {}
    now = clock.now()
    for _ in range(20):
        for _ in range(chance.randrange(4)):
            subject = chance.choice(subjects)
            happened[happens(subject=subject).public_id] = subject
        calm()
        now = run(now + timedelta(hours=chance.random() * 3))
    while "pending" in statuses():
        calm()
        now = run(now + timedelta(days=1))
    answers = said + [said[-1]] * len(receiver.came)
    arrived = [came.id for came, says in zip(receiver.came, answers, strict=False) if says.status == 204]
    assert sorted(arrived) == sorted(happened), "each is taken once"
    for subject in subjects:
        mine = [name for name, whose in happened.items() if whose == subject]
        assert [name for name in arrived if happened[name] == subject] == mine


def test_keeps_the_order_of_the_log_for_each_subject(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, calm: Run
) -> None:
    one, two = new_id(), new_id()
    receiver.answers = [Says(500), Says(204)]
    first = [happens(subject=one).public_id for _ in range(4)]
    run()
    assert receiver.ids == [first[0]], "the others wait for the first"
    other = [happens(subject=two).public_id for _ in range(3)]
    run(timedelta(seconds=2))
    assert receiver.ids[1:] == other, "another subject does not wait"
    calm()
    run(timedelta(seconds=10))
    assert receiver.ids[4:] == first


def test_lets_the_next_go_once_the_one_before_has_no_attempt_left(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, calm: Run
) -> None:
    subject = new_id()
    first, second = happens(subject=subject), happens(subject=subject)
    WebhookDelivery.objects.filter(event_id=first.pk).update(attempts=len(SCHEDULE) - 1)
    receiver.answers = [Says(500), Says(204)]
    run()
    assert statuses() == ["failed", "succeeded"]
    assert receiver.ids == [first.public_id, second.public_id]


def test_looks_once_at_what_waits_for_another(endpoint: Any, happens: Run, receiver: Receiver, lease: Any) -> None:
    subject = new_id()
    for _ in range(30):
        happens(subject=subject)
    later = clock.now() + timedelta(seconds=1)
    assert webhook_dispatch.dispatch_due(later) == 30, "one goes, the others are put behind it"
    assert webhook_dispatch.dispatch_due(later) == 0
    assert WebhookDelivery.objects.filter(next_attempt_at=None, status="pending").count() == 29
    assert webhook_dispatch.take_back(lease) == 0, "none was left behind"


def test_wakes_what_was_left_behind(endpoint: Any, happens: Run, run: Run, receiver: Receiver, lease: Any) -> None:
    subject = new_id()
    events = [happens(subject=subject).public_id for _ in range(3)]
    WebhookDelivery.objects.update(next_attempt_at=None)
    assert webhook_dispatch.take_back(lease) == 1
    run()
    assert receiver.ids == events


def test_keeps_the_order_when_a_place_is_free_again_at_the_same_moment(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver
) -> None:
    """The one before ends while the dispatcher looks: whoever comes second waits for the lock, and sees the end."""
    subject = new_id()
    first, second = happens(subject=subject), happens(subject=subject)
    webhook_dispatch.dispatch_due(clock.now() + timedelta(seconds=1))
    jobs.drain()
    assert WebhookDelivery.objects.get(event_id=second.pk).next_attempt_at is not None
    run()
    assert receiver.ids == [first.public_id, second.public_id]


def test_sends_a_replay_beside_nothing_of_its_subject(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, owner: Any, actor_of: Any
) -> None:
    subject = new_id()
    first = happens(subject=subject)
    run()
    second = happens(subject=subject)
    webhook_dispatch.dispatch_due(clock.now() + timedelta(seconds=1))  # the second is under way
    delivery = WebhookDelivery.objects.get(event_id=first.pk)
    webhook_replays.replay(actor=actor_of(owner), delivery=delivery, now=clock.now())
    webhook_dispatch.dispatch_due(clock.now() + timedelta(seconds=1))
    delivery.refresh_from_db()
    assert (delivery.status, delivery.next_attempt_at) == ("pending", None)
    jobs.drain()
    run()
    assert receiver.ids == [first.public_id, second.public_id, first.public_id]


def test_is_sent_again_under_the_same_id_when_its_worker_died(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = happens()
    now = clock.now()
    assert webhook_dispatch.dispatch_due(now) == 1
    with monkeypatch.context() as patch:

        def die(*_: Any, **__: Any) -> None:
            raise SystemExit  # the process ends between the answer and its being written down

        patch.setattr(webhook_deliveries, "_settle", die)
        with pytest.raises(SystemExit):
            jobs.drain()
    assert statuses() == ["sending"]
    Job.objects.update(state="queued", lease_until=None)  # as the relay does once the lease has run out
    jobs.drain()
    assert receiver.ids == [event.public_id] * 2
    assert statuses() == ["succeeded"]


def test_takes_a_delivery_back_from_a_job_that_is_dead(
    endpoint: Any, happens: Run, run: Run, receiver: Receiver, lease: Any
) -> None:
    happens()
    webhook_dispatch.dispatch_due(clock.now())
    Job.objects.update(state="dead", finished_at=clock.now())
    assert webhook_dispatch.take_back(lease) == 1
    assert webhook_dispatch.take_back(lease) == 0
    run(timedelta(seconds=10))
    assert statuses() == ["succeeded"]


def test_writes_nothing_for_a_job_that_has_been_replaced(endpoint: Any, happens: Run, receiver: Receiver) -> None:
    happens()
    delivery = WebhookDelivery.objects.get()
    assert webhook_deliveries.attempt(delivery_id=delivery.pk, job_id=new_id(), now=clock.now()) is None
    assert not receiver.came


def test_leaves_an_endpoint_alone_that_fails_again_and_again(
    make_endpoint: Run, happens: Run, run: Run, receiver: Receiver
) -> None:
    bad = make_endpoint("/bad")
    make_endpoint("/good")
    receiver.by_path["/bad"] = Says(500)
    for _ in range(12):
        happens()
    run()
    came = [one.path for one in receiver.came]
    assert came.count("/good") == 12
    assert came.count("/bad") == 5, "then its breaker opens"
    bad.refresh_from_db()
    assert bad.paused_until is not None
    waiting = WebhookDelivery.objects.filter(endpoint=bad, attempts=0)
    assert set(waiting.values_list("status", flat=True)) == {"pending"}


def test_gives_a_slow_endpoint_few_places(make_endpoint: Run, happens: Run) -> None:
    slow, quick = make_endpoint("/slow"), make_endpoint("/quick")
    WebhookEndpoint.objects.filter(pk=slow.pk).update(last_duration_ms=5000)
    for _ in range(20):
        happens()
    webhook_dispatch.dispatch_due(clock.now() + timedelta(seconds=1))
    sending = WebhookDelivery.objects.filter(status="sending")
    assert sending.filter(endpoint=slow).count() == 1
    assert sending.filter(endpoint=quick).count() == 8
