"""Many events at once are as many single ones."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

import audit
from audit.errors import UnrecordableEvent
from audit.models import Event, Unsealed
from core import personal
from core.actor import Actor
from core.events import Entry, EventType, Subject
from core.ids import new_id


@pytest.mark.django_db
def test_keeps_many_in_their_order_with_few_statements(thing_tried: EventType, somebody: Actor) -> None:
    things = [Subject("thing", new_id()) for _ in range(50)]
    entries = [
        Entry(thing_tried, actor=somebody, subject=thing, after={"email": f"{n}@example.org"})
        for n, thing in enumerate(things)
    ]
    with (
        CaptureQueriesContext(
            connection,
        ) as queries,
        transaction.atomic(),
    ):
        audit.record_many(entries)
    assert len(queries) <= 6
    events = list(Event.objects.order_by("id"))
    assert [event.subject_id for event in events] == [thing.id for thing in things]
    assert personal.decrypt(events[7].after["email"], field="after.email") == '"7@example.org"'
    assert Unsealed.objects.count() == 50


@pytest.mark.django_db
def test_keeps_nothing_of_one_who_was_erased(thing_tried: EventType, somebody: Actor) -> None:
    thing = Subject("thing", new_id())
    personal.destroy_key(thing)
    audit.record_many([Entry(thing_tried, actor=somebody, subject=thing, after={"email": "ada@example.org"})])
    assert personal.decrypt(Event.objects.get().after["email"], field="after.email") is None


@pytest.mark.django_db
def test_refuses_all_when_one_is_refused(thing_tried: EventType, somebody: Actor) -> None:
    subjects = [Subject("thing", new_id()), Subject("customer", new_id())]
    entries = [Entry(thing_tried, actor=somebody, subject=subject) for subject in subjects]
    with pytest.raises(UnrecordableEvent), transaction.atomic():
        audit.record_many(entries)
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_refuses_many_outside_of_a_transaction(thing_tried: EventType, somebody: Actor) -> None:
    with pytest.raises(UnrecordableEvent, match="inside the transaction"):
        audit.record_many([Entry(thing_tried, actor=somebody, subject=Subject("thing", new_id()))])
