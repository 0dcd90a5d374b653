"""Recording: one event, in the transaction of the change that it tells of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from django.db import connection
from django.db.models import Model

from audit.canonical import clean, normalized
from audit.errors import UnrecordableEvent
from audit.models import Event
from core import clock, context, personal
from core.actor import Actor
from core.events import Entry, EventType, Subject, catalogue, type_of
from core.ids import new_id
from core.relay.wake import wake_after_commit

_LONGEST_USER_AGENT = 400
_LONGEST_REASON = 2000
_SECTIONS = ("before", "after", "data")


class Encrypt(Protocol):
    def __call__(self, person: Model | Subject, plaintext: str, *, field: str) -> dict[str, str]: ...


def record(entry: Entry) -> UUID:
    """Write one event in the present transaction and return its id. See `core.events.record`, whose port this fills.

    Raises `UnrecordableEvent` when the type is not in the catalogue, the subject is of another type, a value is not
    JSON-ready, or no transaction is open (the event would then not share the fate of the change).
    """
    _refuse_outside_of_a_transaction()
    row = _row(entry, context.current(), personal.encrypt)
    row.save(force_insert=True)
    wake_after_commit()
    return row.id


def record_many(entries: Sequence[Entry]) -> None:
    """Write many events in the present transaction, in their order: what `record` does, with a few statements for all.
    Raises `UnrecordableEvent` as `record` does, then for all of them."""
    _refuse_outside_of_a_transaction()
    personal_ones = [entry for entry in entries if entry.event.personal]
    persons = [entry.person or Subject(*_checked_subject(entry.event, entry.subject)) for entry in personal_ones]
    writer = personal.Writer(persons)
    present = context.current()
    Event.objects.bulk_create([_row(entry, present, writer.encrypt) for entry in entries], batch_size=250)
    wake_after_commit()


def _refuse_outside_of_a_transaction() -> None:
    if not connection.in_atomic_block:
        raise UnrecordableEvent("An event must be recorded inside the transaction of its change.")


def _row(entry: Entry, present: context.Context, encrypt: Encrypt) -> Event:
    event, actor, subject = entry.event, entry.actor, entry.subject
    subject_type, subject_id = _checked_subject(event, subject)
    whom = entry.person or Subject(subject_type, subject_id)
    texts = {"before": entry.before, "after": entry.after, "data": entry.data or {}}
    behalf = actor.on_behalf_of
    return Event(
        id=new_id(),
        type=event.name,
        schema_version=event.schema_version,
        occurred_at=entry.occurred_at or clock.now(),
        actor_type=str(actor.type),
        actor_id=actor.id,
        on_behalf_of_type=str(behalf.type) if behalf else "",
        on_behalf_of_id=behalf.id if behalf else None,
        organization_id=entry.organization_id or _organization_of(subject) or present.organization_id,
        subject_type=subject_type,
        subject_id=subject_id,
        context=_context(present, actor),
        command_id=present.command_id,
        **_sections(event, texts, whom, encrypt),
    )


def _checked_subject(event: EventType, subject: Model | Subject) -> tuple[str, UUID]:
    if catalogue.get(event.name) is not event:
        raise UnrecordableEvent(f"{event.name} is not declared in any events.py.")
    if isinstance(subject, Subject):
        kind, identifier = subject.type.replace("_", ""), subject.id
    else:
        kind, identifier = type_of(subject), subject.pk
    if event.subject not in ("*", kind) and event.subject.replace("_", "") != kind:
        raise UnrecordableEvent(f"{event.name} speaks of a {event.subject}, not of a {kind}.")
    if not isinstance(identifier, UUID):
        raise UnrecordableEvent(f"{event.name}: the subject has no id yet.")
    return kind, identifier


def _organization_of(subject: Model | Subject) -> UUID | None:
    """The organisation of a row is its own id, or what its `organization_path` leads to."""
    if isinstance(subject, Subject):
        return subject.organization_id
    path = getattr(subject, "organization_path", None)
    value: Any = subject
    for name in path.split("__") if path else ():
        value = getattr(value, name, None)
        if value is None:
            return None
    return value if isinstance(value, UUID) else None


def _sections(
    event: EventType, sections: Mapping[str, Any], person: Model | Subject, encrypt: Encrypt
) -> dict[str, Any]:
    try:
        values = {name: None if section is None else normalized(section) for name, section in sections.items()}
    except TypeError as fault:
        raise UnrecordableEvent(f"{event.name}: {fault}") from None
    for path in event.personal:
        _encrypt_at(values, path, person, encrypt)
    return values


def _encrypt_at(values: dict[str, Any], path: str, person: Model | Subject, encrypt: Encrypt) -> None:
    """Replace the value at the dotted `path` (from before, after or data), where there is one, by its envelope."""
    first, *steps = path.split(".")
    if first not in _SECTIONS or not steps:
        raise UnrecordableEvent(f"The personal path {path!r} must begin with one of {', '.join(_SECTIONS)}.")
    holder = values[first]
    for step in steps[:-1]:
        holder = holder.get(step) if isinstance(holder, dict) else None
    if isinstance(holder, dict) and holder.get(steps[-1]) is not None:
        holder[steps[-1]] = encrypt(person, json.dumps(holder[steps[-1]]), field=path)


def _context(present: context.Context, actor: Actor) -> dict[str, Any]:
    result: dict[str, Any] = {"source": present.source, "request_id": present.request_id}
    for name, value in (("trace_id", present.trace_id), ("idempotency_key", present.idempotency_key)):
        if value:
            result[name] = clean(value)
    if present.reason:
        result["reason"] = clean(present.reason)[:_LONGEST_REASON]
    for name, value in (("ip", present.ip), ("user_agent", present.user_agent[:_LONGEST_USER_AGENT])):
        # Without a person there is no key to destroy later, so nothing that could name one is kept.
        if value and actor.id is not None:
            text = json.dumps(clean(value))
            result[name] = personal.encrypt(Subject(_person_type(actor), actor.id), text, field=f"context.{name}")
    return result


def _person_type(actor: Actor) -> str:
    """Staff are users; keys and service accounts stand for themselves."""
    return "user" if actor.type in ("user", "staff") else str(actor.type)
