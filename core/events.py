"""Events as apps declare and record them; `audit` fills the port that keeps them.

An event is a fact in the past tense, `app.object.past_tense`, declared once in `<app>/events.py`. Fields named in
`personal` (dotted paths into before, after, data) are stored encrypted under the key of the person they speak of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from django.db.models import Model

from core.actor import Actor

catalogue: dict[str, EventType] = {}


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of fact. `subject` is the object type (`subscription`; "*" for any), `text` one sentence for people."""

    name: str
    subject: str
    text: str
    personal: tuple[str, ...] = ()
    schema_version: int = 1

    def __post_init__(self) -> None:
        assert catalogue.get(self.name, self) == self, f"event {self.name} is declared twice"
        catalogue[self.name] = self


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event speaks of, when there is no row at hand."""

    type: str
    id: UUID
    organization_id: UUID | None = None


def type_of(thing: Model | type[Model]) -> str:
    """Return the name under which events, jobs and keys know a row's type: that of its class, in small letters."""
    name = thing._meta.concrete_model._meta.model_name if thing._meta.concrete_model else thing._meta.model_name
    assert name is not None
    return name


@dataclass(frozen=True, slots=True)
class Entry:
    """One of many events that are recorded at once: what `record` takes."""

    event: EventType
    subject: Model | Subject
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    data: Mapping[str, Any] | None = None
    organization_id: UUID | None = None
    person: Model | Subject | None = None
    occurred_at: datetime | None = None


class Recorder(Protocol):
    def __call__(
        self,
        event: EventType,
        *,
        actor: Actor,
        subject: Model | Subject,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        organization_id: UUID | None = None,
        person: Model | Subject | None = None,
        occurred_at: datetime | None = None,
    ) -> UUID: ...


class BulkRecorder(Protocol):
    def __call__(self, entries: Sequence[Entry], *, actor: Actor) -> None: ...


_recorder: Recorder | None = None
_bulk_recorder: BulkRecorder | None = None


def use_recorder(recorder: Recorder, bulk_recorder: BulkRecorder) -> None:
    """Fill the port; called once, by `audit`, when the apps are ready."""
    global _recorder, _bulk_recorder
    _recorder, _bulk_recorder = recorder, bulk_recorder


def record(
    event: EventType,
    *,
    actor: Actor,
    subject: Model | Subject,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    organization_id: UUID | None = None,
    person: Model | Subject | None = None,
    occurred_at: datetime | None = None,
) -> UUID:
    """Write one event in the present transaction and return its id.

    `before` and `after` hold what changed (JSON-ready; UUID, date, Decimal and enums are turned into text), `data` what
    else is worth knowing. The organisation is the subject's, else the context's. `person` is whom personal fields
    speak of (the subject when absent). `occurred_at` is the moment of the fact when a service was given `now`.
    """
    assert _recorder is not None, "no event recorder: audit must be among INSTALLED_APPS"
    return _recorder(
        event,
        actor=actor,
        subject=subject,
        before=before,
        after=after,
        data=data,
        organization_id=organization_id,
        person=person,
        occurred_at=occurred_at,
    )


def record_many(entries: Sequence[Entry], *, actor: Actor) -> None:
    """Write many events in the present transaction, in their order, as `record` would: for bulk commands."""
    assert _bulk_recorder is not None, "no event recorder: audit must be among INSTALLED_APPS"
    _bulk_recorder(entries, actor=actor)
