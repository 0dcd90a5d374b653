"""One gapless order, below what still runs, sealed as RFC 9162 says."""

from __future__ import annotations

import threading
from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction

from audit.leaves import leaf_of
from audit.merkle import CompactTree
from audit.models import Event, Position, Tree, Unsealed
from audit.selectors import sealing as held
from audit.services import partitions
from audit.services.sealing import LogBroken, seal, seal_chunk
from audit.services.verification import verify
from core.relay import HeldLease, NotLeading


def seal_all(size: int = 500) -> int:
    total = 0
    while True:
        with transaction.atomic():
            done = seal_chunk(size)
        total += done
        if not done:
            return total


def order() -> list[UUID]:
    return list(Position.objects.order_by("position").values_list("event_id", flat=True))


@pytest.mark.django_db(transaction=True)
def test_gives_each_event_one_place_in_its_order(record_one, lease) -> None:
    recorded = [record_one(after={"n": n}) for n in range(7)]
    assert [seal_chunk_of(3) for _ in range(4)] == [3, 3, 1, 0]
    assert order() == recorded
    assert list(Position.objects.order_by("position").values_list("position", flat=True)) == list(range(1, 8))
    assert not Unsealed.objects.exists()
    expected = CompactTree()
    expected.extend(leaf_of(Event.objects.get(pk=pk)) for pk in recorded)
    tree = Tree.objects.get()
    assert (tree.size, [bytes(peak) for peak in tree.peaks]) == (7, expected.peaks)
    assert verify().is_sound


def seal_chunk_of(size: int) -> int:
    with transaction.atomic():
        return seal_chunk(size)


@pytest.mark.django_db(transaction=True)
def test_waits_for_an_open_writer_and_keeps_the_order(record_one) -> None:
    is_open, may_end = threading.Event(), threading.Event()
    early: list[UUID] = []

    def write_slowly() -> None:
        with transaction.atomic():
            early.append(record_one(after={"n": "early"}))
            is_open.set()
            may_end.wait(20)
        connection.close()

    writer = threading.Thread(target=write_slowly)
    before = record_one(after={"n": "before"})
    writer.start()
    assert is_open.wait(10)
    late = [record_one(after={"n": n}) for n in range(3)]
    assert seal_all() == 1, "only what lies below the open transaction"
    assert order() == [before]
    holders = held.holders()
    assert [holder.kind for holder in holders] == ["transaction"]
    assert held.lag().events == 3
    may_end.set()
    writer.join()
    assert seal_all() == 4
    assert order() == [before, *early, *late]
    assert held.lag().events == 0
    assert verify().is_sound


@pytest.mark.django_db(transaction=True)
def test_seals_what_a_rolled_back_neighbour_left_out(record_one) -> None:
    with transaction.atomic():
        record_one()
        transaction.set_rollback(True)
    kept = record_one()
    assert seal_all() == 1
    assert order() == [kept]


@pytest.mark.django_db(transaction=True)
def test_seals_what_came_from_another_cluster(record_one) -> None:
    restored = record_one()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_unsealed SET xid = '9000000000'")
    record_one()
    assert seal_all() == 2
    assert restored in order()


@pytest.mark.django_db(transaction=True)
def test_refuses_to_seal_without_the_lease(record_one, lease) -> None:
    record_one()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE core_lease SET expires_at = '-infinity'")
    usurper = HeldLease.for_this_process("relay")
    assert usurper.take()
    with pytest.raises(NotLeading):
        seal(lease)
    assert not Position.objects.exists()
    assert seal(usurper) == 1


@pytest.mark.django_db(transaction=True)
def test_two_sealers_give_out_no_position_twice(record_one) -> None:
    for number in range(60):
        record_one(after={"n": number})

    def work() -> None:
        seal_all(size=4)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Position.objects.count() == Tree.objects.get().size == 60
    assert verify().is_sound


@pytest.mark.django_db(transaction=True)
def test_stops_loudly_when_a_queued_event_is_gone(record_one) -> None:
    record_one()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_unsealed SET event_id = gen_random_uuid()")
    with pytest.raises(LogBroken), transaction.atomic():
        seal_chunk()


@pytest.mark.django_db(transaction=True)
def test_makes_partitions_through_the_owners_function(lease, owner_connection) -> None:
    count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_event'::regclass"
    (before,) = owner_connection.execute(count).fetchone()
    (last,) = owner_connection.execute(
        "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'audit_event'::regclass "
        "AND inhrelid::regclass::text <> 'audit_event_default'"
    ).fetchone()
    owner_connection.execute(f"DROP TABLE {last}")
    assert partitions.make_ahead(lease) == 1
    assert partitions.make_ahead(lease) == 0
    assert owner_connection.execute(count).fetchone() == (before,)
    with pytest.raises(psycopg.errors.IntegrityError, match="append-only"):
        owner_connection.execute(f"TRUNCATE {last}")


@pytest.mark.django_db(transaction=True)
class TestVerify:
    def tamper(self, owner_connection, statement: str) -> None:
        """What only the owner can do, who lifts the triggers."""
        tables = ("audit_event", "audit_position", "audit_node")
        for table in tables:
            owner_connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        owner_connection.execute(statement)
        for table in tables:
            owner_connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    @pytest.mark.parametrize(
        ("statement", "fault"),
        [
            ("UPDATE audit_event SET type = 'x' WHERE id = (SELECT min(id::text)::uuid FROM audit_event)", "leaf"),
            ("UPDATE audit_event SET data = '{\"n\": 8}'", "leaf"),
            ("DELETE FROM audit_position WHERE position = 3", "position"),
            ("DELETE FROM audit_event WHERE id = (SELECT event_id FROM audit_position WHERE position = 2)", "event"),
            ("UPDATE audit_node SET hash = '\\x00' WHERE level = 1 AND index = 1", "node"),
            ("UPDATE audit_tree SET peaks = ARRAY['\\x00'::bytea, '\\x00'::bytea]", "root"),
            ("DELETE FROM audit_unsealed", "unsealed"),
        ],
    )
    def test_finds_what_was_tampered_with(self, record_one, owner_connection, statement, fault) -> None:
        for number in range(5):
            record_one(data={"n": number})
        seal_all()
        record_one(data={"n": "waits"})
        assert verify().is_sound
        self.tamper(owner_connection, statement)
        report = verify()
        assert not report.is_sound
        assert fault in {found.kind for found in report.faults}


@pytest.mark.django_db
def test_queues_events_in_the_real_table_whatever_temporary_one_there_is(record_one) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE audit_unsealed (event_id uuid, xid xid8) ON COMMIT DROP")
        record_one(after={"n": 1})
        cursor.execute("SELECT count(*) FROM pg_temp.audit_unsealed")
        assert cursor.fetchone() == (0,)
