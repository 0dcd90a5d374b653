"""What an event keeps, and what it refuses."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction

import audit
from audit.canonical import normalized
from audit.errors import UnrecordableEvent
from audit.models import Event, Unsealed
from audit.services.sealing import seal_chunk
from core import context, personal
from core.actor import SYSTEM, Actor, ActorType
from core.events import EventType, Subject
from core.ids import new_id
from core.money import Money


class Colour(StrEnum):
    RED = "red"


@pytest.mark.django_db
def test_keeps_who_what_where_and_why(record_one, somebody, thing_tried) -> None:
    organization, thing = new_id(), new_id()
    with context.use(
        context.Context(source="api", request_id="r1", trace_id="t1", reason="asked", command_id=new_id())
    ):
        command_id = context.current().command_id
        identifier = record_one(
            subject=Subject("thing", thing, organization), before={"n": 1}, after={"n": 2}, data={"x": Colour.RED}
        )
    event = Event.objects.get(pk=identifier)
    assert (event.type, event.subject_type, event.subject_id) == ("tests.thing.tried", "thing", thing)
    assert (event.actor_type, event.actor_id, event.organization_id) == ("user", somebody.id, organization)
    assert (event.before, event.after, event.data) == ({"n": 1}, {"n": 2}, {"x": "red"})
    assert event.context == {"source": "api", "request_id": "r1", "trace_id": "t1", "reason": "asked"}
    assert event.command_id == command_id
    assert event.public_id.startswith("evt_")
    assert Unsealed.objects.filter(pk=identifier).exists()


@pytest.mark.django_db
def test_names_the_person_behind_whom_staff_acts(record_one) -> None:
    person = Actor(ActorType.USER, new_id())
    staff = Actor(ActorType.STAFF, new_id(), on_behalf_of=person)
    event = Event.objects.get(pk=record_one(actor=staff))
    assert (event.actor_type, event.on_behalf_of_type, event.on_behalf_of_id) == ("staff", "user", person.id)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 2, 3), "2026-02-03"),
        (datetime(2026, 2, 3, 1, tzinfo=timezone(timedelta(hours=2))), "2026-02-02T23:00:00.000000Z"),
        (Colour.RED, "red"),
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**53), "-9007199254740992"),
        (True, True),
        (Money(5, "USD"), {"minor": 5, "currency": "USD"}),
        ((1, [None, {"a": UUID(int=0)}]), [1, [None, {"a": "00000000-0000-0000-0000-000000000000"}]]),
        ({"b", "a"}, ["a", "b"]),
        ("a\x00b\ud800c", "a\ufffdb\ufffdc"),
    ],
)
def test_turns_values_into_lasting_json(value, written) -> None:
    assert normalized(value) == written


@pytest.mark.django_db
@pytest.mark.parametrize("value", [1.5, float("nan"), object(), b"x"])
def test_refuses_what_json_cannot_keep(record_one, value) -> None:
    with pytest.raises(UnrecordableEvent):
        record_one(data={"x": [value]})
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_refuses_a_type_that_is_not_declared(somebody) -> None:
    stranger = object.__new__(EventType)
    for name, value in (
        ("name", "tests.unknown"),
        ("subject", "thing"),
        ("text", ""),
        ("personal", ()),
        ("schema_version", 1),
    ):
        object.__setattr__(stranger, name, value)
    with pytest.raises(UnrecordableEvent, match="not declared"), transaction.atomic():
        audit.record(stranger, actor=somebody, subject=Subject("thing", new_id()))


@pytest.mark.django_db
def test_refuses_a_subject_of_another_type(record_one) -> None:
    with pytest.raises(UnrecordableEvent, match="speaks of a thing, not of a customer"):
        record_one(subject=Subject("customer", new_id()))


@pytest.mark.django_db(transaction=True)
def test_refuses_to_be_recorded_outside_of_a_transaction(thing_tried, somebody) -> None:
    with pytest.raises(UnrecordableEvent, match="inside the transaction"):
        audit.record(thing_tried, actor=somebody, subject=Subject("thing", new_id()))


@pytest.mark.django_db
def test_keeps_personal_fields_encrypted_until_the_person_is_erased(record_one) -> None:
    person = Subject("user", new_id())
    identifier = record_one(
        person=person, after={"email": "ada@example.org", "n": 1}, data={"who": {"name": "Ada"}, "free": "x"}
    )
    event = Event.objects.get(pk=identifier)
    assert "ada@" not in str(event.after)
    assert event.after["n"] == 1
    assert personal.decrypt(event.after["email"], field="after.email") == '"ada@example.org"'
    assert personal.decrypt(event.data["who"]["name"], field="data.who.name") == '"Ada"'
    personal.destroy_key(person)
    assert personal.decrypt(event.after["email"], field="after.email") is None


@pytest.mark.django_db
def test_keeps_address_and_browser_under_the_key_of_who_acted(record_one, somebody) -> None:
    with context.use(context.Context(ip="192.0.2.7", user_agent="Browser\x00 1")):
        own, systems = record_one(), record_one(actor=SYSTEM)
    kept = Event.objects.get(pk=own).context
    assert "192.0.2.7" not in str(kept)
    assert kept["ip"]["person"] == f"user:{somebody.id}"
    assert personal.decrypt(kept["ip"], field="context.ip") == '"192.0.2.7"'
    assert "ip" not in Event.objects.get(pk=systems).context


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["UPDATE {} SET event_id = event_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_refuses_change_of_the_sealed_order(record_one, owner_connection, verb) -> None:
    record_one()
    with transaction.atomic():
        seal_chunk()
    with pytest.raises(psycopg.errors.IntegrityError, match="audit_position is append-only"):
        owner_connection.execute(verb.format("audit_position"))


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["audit_event", "audit_position", "audit_node"])
def test_grants_the_product_no_change_of_what_is_sealed(table) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableowner = current_user FROM pg_tables WHERE tablename = %s", [table])
        if cursor.fetchone()[0]:
            pytest.skip("product and owner are one role on this server")
        for right in ("UPDATE", "DELETE", "TRUNCATE"):
            cursor.execute("SELECT has_table_privilege(%s, %s)", [table, right])
            assert cursor.fetchone() == (False,), right
        cursor.execute("SELECT has_table_privilege(%s, 'INSERT')", [table])
        assert cursor.fetchone() == (True,)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["UPDATE {} SET type = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_refuses_change_to_a_partition_by_the_owner(record_one, owner_connection, verb) -> None:
    record_one()
    (table,) = owner_connection.execute("SELECT tableoid::regclass::text FROM audit_event").fetchone()
    assert table.startswith("audit_event_2")
    with pytest.raises(psycopg.errors.IntegrityError, match="append-only"):
        owner_connection.execute(verb.format(table))


@pytest.mark.django_db
def test_falls_into_the_default_partition_when_none_is_there(record_one) -> None:
    far = UUID(int=(int(datetime(2090, 1, 1, tzinfo=UTC).timestamp() * 1000) << 80) | new_id().int & (2**80 - 1))
    kept = Event.objects.get(pk=record_one())
    kept.pk = far
    kept.save(force_insert=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM audit_event WHERE id = %s", [far])
        assert cursor.fetchone() == ("audit_event_default",)
