"""Followers: in order, at least once, each for itself; poison stops one and not the others."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import transaction

from audit.following import follower, followers
from audit.models import Event, Follower, FollowerState
from audit.services.following import MAX_FAILURES, follow, reset
from audit.services.sealing import seal_chunk
from core import clock
from core.actor import SYSTEM
from core.errors import NotFound

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def only_ours(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = dict(followers)
    followers.clear()
    yield
    followers.clear()
    followers.update(known)


def seal() -> None:
    with transaction.atomic():
        while seal_chunk():
            pass


def follow_all(lease) -> None:
    while follow(lease):
        pass


def due_again() -> None:
    Follower.objects.update(retry_at=clock.now() - timedelta(seconds=1))


def test_reads_everything_in_the_sealed_order(record_one, lease) -> None:
    seen: list[Event] = []

    @follower("tests.all", batch=3)
    def read(events: list[Event]) -> None:
        assert len(events) <= 3
        seen.extend(events)

    recorded = [record_one(data={"n": n}) for n in range(8)]
    assert follow(lease) == 0, "nothing is sealed yet"
    seal()
    follow_all(lease)
    assert [event.pk for event in seen] == recorded
    late = record_one()
    seal()
    follow_all(lease)
    assert [event.pk for event in seen[8:]] == [late]


def test_is_given_only_the_types_that_it_asked_for(record_one, lease) -> None:
    seen: list[Event] = []
    follower("tests.none", types=["tests.other"])(lambda events: seen.extend(events))
    follower("tests.some", types=["tests.thing.tried"], batch=2)(lambda events: seen.extend(events))
    recorded = [record_one() for _ in range(5)]
    seal()
    follow_all(lease)
    assert [event.pk for event in seen] == recorded
    assert set(Follower.objects.values_list("position", flat=True)) == {5}


def test_starts_at_the_end_when_it_wants_only_what_is_new(record_one, lease) -> None:
    seen: list[Event] = []
    record_one()
    seal()
    follower("tests.new", is_for_new=True)(lambda events: seen.extend(events))
    follow_all(lease)
    assert seen == []
    fresh = record_one()
    seal()
    follow_all(lease)
    assert [event.pk for event in seen] == [fresh]


def test_tries_again_and_gives_each_event_at_least_once(record_one, lease) -> None:
    seen: list[int] = []
    is_broken = [True]

    @follower("tests.shaky")
    def read(events: list[Event]) -> None:
        for event in events:
            if event.data["n"] == 2 and is_broken[0]:
                raise RuntimeError("not now")
            seen.append(event.data["n"])

    for number in range(4):
        record_one(data={"n": number})
    seal()
    assert follow(lease) == 0
    row = Follower.objects.get()
    assert (row.state, row.failures, row.position) == (FollowerState.RUNNING, 1, 0)
    assert "not now" in row.error
    assert follow(lease) == 0, "it waits"
    is_broken[0] = False
    due_again()
    follow_all(lease)
    assert sorted(set(seen)) == [0, 1, 2, 3]
    assert Follower.objects.get().failures == 0


def test_parks_at_an_event_that_it_cannot_take_and_the_others_go_on(record_one, lease) -> None:
    taken: list[int] = []
    others: list[int] = []

    @follower("tests.poisoned")
    def read(events: list[Event]) -> None:
        if any(event.data["n"] == 1 for event in events):
            raise ValueError("poison")
        taken.extend(event.data["n"] for event in events)

    follower("tests.well")(lambda events: others.extend(event.data["n"] for event in events))
    for number in range(3):
        record_one(data={"n": number})
    seal()
    for _ in range(MAX_FAILURES + 5):
        follow(lease)
        due_again()
    row = Follower.objects.get(name="tests.poisoned")
    assert (row.state, row.position, taken) == (FollowerState.PARKED, 1, [0])
    assert "poison" in row.error
    assert "evt_" in row.error
    assert others == [0, 1, 2]

    out = io.StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("followers", "--json", stdout=out)
    listed = {found["name"]: found for found in json.loads(out.getvalue())}
    assert (listed["tests.poisoned"]["state"], listed["tests.poisoned"]["behind"]) == ("parked", 2)
    assert (listed["tests.well"]["state"], listed["tests.well"]["behind"]) == ("running", 0)

    reset(actor=SYSTEM, name="tests.poisoned", position=2)
    follow_all(lease)
    assert taken == [0, 2]
    assert Event.objects.filter(type="audit.follower.reset").count() == 1


def test_refuses_to_reset_what_nobody_declares() -> None:
    with pytest.raises(NotFound):
        reset(actor=SYSTEM, name="tests.nobody")
