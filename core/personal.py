"""Personal fields: stored under a key of the person's own, so that erasing a person destroys a key and no proof.

AES-256-GCM (NIST SP 800-38D), a fresh 96-bit nonce for each value; the additional data binds a value to its person and
its place. The person's key is wrapped by the first of ENCRYPTION_KEYS; all of them unwrap.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import secrets
import threading
from collections.abc import Iterable, Mapping
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models, transaction

from core import clock
from core.events import Subject, type_of
from core.models import PersonKey

ALGORITHM = "AES-256-GCM"
_NONCE_BYTES = 12
_REMEMBERED_KEYS = 4096

_known: dict[tuple[str, UUID], AESGCM] = {}
_known_lock = threading.Lock()


class Undecipherable(Exception):
    """The text was altered or moved, or the key that wrapped its key is no longer among ENCRYPTION_KEYS."""


def encrypt(person: Subject | models.Model, plaintext: str, *, field: str = "") -> dict[str, str]:
    """Return the envelope that stands for `plaintext`. `field` is its place (a dotted path); the same must be given to
    read it. Of a person who was erased nothing is kept: the envelope says so and holds no text."""
    kind, identifier = _name(person)
    return _envelope(_key_for_writing(kind, identifier), f"{kind}:{identifier}", plaintext, field)


def _envelope(key: AESGCM | None, name: str, plaintext: str, field: str) -> dict[str, str]:
    if key is None:
        return {"encrypted": ALGORITHM, "person": name}
    nonce = secrets.token_bytes(_NONCE_BYTES)
    text = key.encrypt(nonce, plaintext.encode(), _bound_to(name, field))
    return {"encrypted": ALGORITHM, "person": name, "nonce": _b64(nonce), "text": _b64(text)}


def decrypt(envelope: Mapping[str, str], *, field: str = "") -> str | None:
    """Return the text of an envelope; None once the person's key was destroyed. Raises `Undecipherable`."""
    return Reader([envelope]).read(envelope, field=field)


def is_envelope(value: object) -> bool:
    """Whether `value` is what `encrypt` returns."""
    return isinstance(value, dict) and value.get("encrypted") == ALGORITHM and "person" in value


def destroy_key(person: Subject | models.Model) -> None:
    """Erase the person: nothing stored under the key can be read again, by anyone. Idempotent; runs in the caller's
    transaction. The row stays, so that no new key is made."""
    kind, identifier = _name(person)
    _ = PersonKey.objects.bulk_create([_new_row(kind, identifier)], ignore_conflicts=True)
    PersonKey.objects.filter(person_type=kind, person_id=identifier, destroyed_at=None).update(
        wrapped_key=None, destroyed_at=clock.now()
    )
    transaction.on_commit(functools.partial(_forget, (kind, identifier)))


class Reader:
    """Reads many envelopes with one question to the database. Keys are asked for anew each time, so that a destroyed
    key is gone everywhere at once."""

    def __init__(self, envelopes: Iterable[Mapping[str, str]]) -> None:
        persons = {envelope["person"] for envelope in envelopes}
        wanted: dict[str, list[UUID]] = {}
        for kind, _, identifier in (person.partition(":") for person in persons):
            wanted.setdefault(kind, []).append(UUID(identifier))
        condition = models.Q(pk__in=[])
        for kind, identifiers in wanted.items():
            condition |= models.Q(person_type=kind, person_id__in=identifiers)
        rows = PersonKey.objects.filter(condition, destroyed_at=None) if wanted else PersonKey.objects.none()
        self._keys = {f"{row.person_type}:{row.person_id}": _unwrap(row) for row in rows}

    def read(self, envelope: Mapping[str, str], *, field: str = "") -> str | None:
        """Return the text, or None when the person was erased. Raises `Undecipherable`."""
        key = self._keys.get(envelope["person"])
        if key is None or "text" not in envelope:
            return None
        try:
            nonce, text = base64.b64decode(envelope["nonce"]), base64.b64decode(envelope["text"])
            return key.decrypt(nonce, text, _bound_to(envelope["person"], field)).decode()
        except InvalidTag:
            raise Undecipherable(f"A personal field of {envelope['person']} does not fit its key and place.") from None


class Writer:
    """Encrypts for many persons with two statements in all; keys that are missing are made."""

    def __init__(self, persons: Iterable[Subject | models.Model]) -> None:
        wanted: dict[str, set[UUID]] = {}
        for person in persons:
            kind, identifier = _name(person)
            wanted.setdefault(kind, set()).add(identifier)
        self._keys: dict[tuple[str, UUID], AESGCM | None] = {}
        for kind, identifiers in wanted.items():
            # In one order, so that two writers of the same persons do not wait for each other.
            rows = [_new_row(kind, identifier) for identifier in sorted(identifiers)]
            PersonKey.objects.bulk_create(rows, ignore_conflicts=True, batch_size=250)
            for row in PersonKey.objects.filter(person_type=kind, person_id__in=identifiers):
                self._keys[kind, row.person_id] = None if row.wrapped_key is None else _unwrap(row)

    def encrypt(self, person: Subject | models.Model, plaintext: str, *, field: str = "") -> dict[str, str]:
        """As the function `encrypt`; the person must be among those that the writer was made for."""
        kind, identifier = _name(person)
        return _envelope(self._keys[kind, identifier], f"{kind}:{identifier}", plaintext, field)


def _name(person: Subject | models.Model) -> tuple[str, UUID]:
    return (person.type, person.id) if isinstance(person, Subject) else (type_of(person), person.pk)


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bound_to(person: str, field: str) -> bytes:
    return f"{person}\n{field}".encode()


def _key_for_writing(kind: str, identifier: UUID) -> AESGCM | None:
    """Return the person's key, made when there is none; None when it was destroyed.

    Of concurrent first writers one inserts; the others wait for its commit, insert nothing and read what it wrote. A
    key is remembered only after the commit: one that is rolled back would leave texts that nobody can read.
    """
    known = _known.get((kind, identifier))
    if known is not None:
        return known
    rows = PersonKey.objects.filter(person_type=kind, person_id=identifier)
    row = rows.first()
    if row is None:
        PersonKey.objects.bulk_create([_new_row(kind, identifier)], ignore_conflicts=True)
        row = rows.get()
    if row.wrapped_key is None:
        return None
    key = _unwrap(row)
    transaction.on_commit(functools.partial(_remember, (kind, identifier), key))
    return key


def _new_row(kind: str, identifier: UUID) -> PersonKey:
    fingerprint, wrapping = next(iter(_wrapping_keys().items()))
    nonce = secrets.token_bytes(_NONCE_BYTES)
    wrapped = AESGCM(wrapping).encrypt(nonce, AESGCM.generate_key(256), f"{kind}:{identifier}".encode())
    return PersonKey(person_type=kind, person_id=identifier, wrapped_key=nonce + wrapped, wrapped_by=fingerprint)


def _unwrap(row: PersonKey) -> AESGCM:
    wrapping = _wrapping_keys().get(row.wrapped_by)
    if wrapping is None:
        raise Undecipherable(f"The key {row.wrapped_by} that wrapped the key of {row} is not among ENCRYPTION_KEYS.")
    assert row.wrapped_key is not None
    wrapped = bytes(row.wrapped_key)
    try:
        person = f"{row.person_type}:{row.person_id}".encode()
        return AESGCM(AESGCM(wrapping).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], person))
    except InvalidTag:
        raise Undecipherable(f"The key of {row} was altered.") from None


def _wrapping_keys() -> dict[str, bytes]:
    return _parsed(tuple(settings.ENCRYPTION_KEYS))


@functools.lru_cache(maxsize=4)
def _parsed(encoded: tuple[str, ...]) -> dict[str, bytes]:
    """Return the wrapping keys by fingerprint (a number would shift when a key is put first)."""
    keys = {}
    for text in encoded:
        key = base64.b64decode(text)
        if len(key) != 32:
            raise ImproperlyConfigured("Each of ENCRYPTION_KEYS must be the base64 of 32 bytes.")
        keys[hashlib.sha256(b"countinghouse wrapping key" + key).hexdigest()[:16]] = key
    if not keys:
        raise ImproperlyConfigured("ENCRYPTION_KEYS is empty.")
    return keys


def _remember(person: tuple[str, UUID], key: AESGCM) -> None:
    with _known_lock:
        if len(_known) >= _REMEMBERED_KEYS:
            _known.clear()
        _known[person] = key


def _forget(person: tuple[str, UUID]) -> None:
    with _known_lock:
        _known.pop(person, None)
