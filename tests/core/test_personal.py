"""Personal fields: readable by key, place and person; gone with the key."""

from __future__ import annotations

import base64
import threading

import pytest
from django.db import connection, transaction

from core import personal
from core.events import Subject
from core.ids import new_id
from core.models import PersonKey

KEYS = [base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]


@pytest.fixture
def person() -> Subject:
    return Subject("user", new_id())


@pytest.mark.django_db
def test_gives_back_what_was_kept(person) -> None:
    first, second = (personal.encrypt(person, "Ada Lovelace ✓", field="after.name") for _ in range(2))
    assert personal.is_envelope(first)
    assert first != second, "the nonce is fresh each time"
    assert "Ada" not in str(first)
    assert personal.decrypt(first, field="after.name") == "Ada Lovelace ✓"
    assert PersonKey.objects.count() == 1


@pytest.mark.django_db
def test_refuses_a_text_that_was_moved_or_altered(person) -> None:
    envelope = personal.encrypt(person, "Ada", field="after.name")
    with pytest.raises(personal.Undecipherable):
        personal.decrypt(envelope, field="after.email")
    with pytest.raises(personal.Undecipherable):
        personal.decrypt(envelope | {"text": base64.b64encode(b"x" * 20).decode()}, field="after.name")
    other = Subject("user", new_id())
    personal.encrypt(other, "x")
    with pytest.raises(personal.Undecipherable):
        personal.decrypt(envelope | {"person": f"user:{other.id}"}, field="after.name")


@pytest.mark.django_db(transaction=True)
def test_forgets_a_person_for_good(person) -> None:
    envelope = personal.encrypt(person, "Ada")
    personal.destroy_key(person)
    personal.destroy_key(person)
    assert personal.decrypt(envelope) is None
    later = personal.encrypt(person, "Ada again")
    assert "text" not in later
    assert personal.decrypt(later) is None
    assert PersonKey.objects.get().wrapped_key is None


@pytest.mark.django_db(transaction=True)
def test_forgets_a_person_who_had_no_key(person) -> None:
    personal.destroy_key(person)
    assert "text" not in personal.encrypt(person, "Ada")


@pytest.mark.django_db(transaction=True)
def test_keeps_no_key_of_a_transaction_that_rolled_back(person) -> None:
    with transaction.atomic():
        personal.encrypt(person, "lost")
        transaction.set_rollback(True)
    assert personal.decrypt(personal.encrypt(person, "kept")) == "kept"


@pytest.mark.django_db(transaction=True)
def test_makes_one_key_when_many_write_first_at_once(person) -> None:
    envelopes: list[dict[str, str]] = []
    barrier = threading.Barrier(8)

    def write() -> None:
        barrier.wait()
        envelopes.append(personal.encrypt(person, "same"))
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert PersonKey.objects.count() == 1
    assert [personal.decrypt(envelope) for envelope in envelopes] == ["same"] * 8


@pytest.mark.django_db
def test_reads_old_keys_after_rotation(person, settings) -> None:
    settings.ENCRYPTION_KEYS = KEYS[:1]
    old = personal.encrypt(person, "old")
    settings.ENCRYPTION_KEYS = [KEYS[1], KEYS[0]]
    assert personal.decrypt(old) == "old"
    settings.ENCRYPTION_KEYS = KEYS[1:]
    with pytest.raises(personal.Undecipherable, match="not among ENCRYPTION_KEYS"):
        personal.decrypt(old)
