"""Events as apps declare and record them; `audit` fills the port that keeps them.

An event is a fact in the past tense, `app.object.past_tense`, declared once in `<app>/events.py`. Fields named in
`personal` (dotted paths into before, after, data) are stored encrypted under the key of the person they speak of.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Any, ParamSpec
from uuid import UUID

from django.db.models import Model

from core.actor import Actor

_P = ParamSpec("_P")

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
    """One event to be written: what `record` is given.

    `before` and `after` hold what changed (JSON-ready; UUID, date, Decimal and enums are turned into text), `data` what
    else is worth knowing. The organisation is the subject's, else the context's. `person` is whom personal fields
    speak of (the subject when absent). `occurred_at` is the moment of the fact when a service was given `now`.
    """

    event: EventType
    _: KW_ONLY
    actor: Actor
    subject: Model | Subject
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    data: Mapping[str, Any] | None = None
    organization_id: UUID | None = None
    person: Model | Subject | None = None
    occurred_at: datetime | None = None


Recorder = Callable[[Entry], UUID]
BulkRecorder = Callable[[Sequence[Entry]], None]

_recorder: Recorder | None = None
_bulk_recorder: BulkRecorder | None = None


def use_recorder(recorder: Recorder, bulk_recorder: BulkRecorder) -> None:
    """Fill the port; called once, by `audit`, when the apps are ready."""
    global _recorder, _bulk_recorder
    _recorder, _bulk_recorder = recorder, bulk_recorder


def _given_the_fields_of(entry: Callable[_P, Entry]) -> Callable[[Recorder], Callable[_P, UUID]]:
    """Let a function of an entry be called with the entry's fields, so that they are defined once."""

    def decorate(function: Recorder) -> Callable[_P, UUID]:
        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> UUID:
            return function(entry(*args, **kwargs))

        return call

    return decorate


@_given_the_fields_of(Entry)
def record(entry: Entry) -> UUID:
    """Write one event in the present transaction and return its id: `record(EVENT, actor=..., subject=..., ...)`, with
    the fields of `Entry`."""
    assert _recorder is not None, "no event recorder: audit must be among INSTALLED_APPS"
    return _recorder(entry)


def record_many(entries: Sequence[Entry]) -> None:
    """Write many events in the present transaction, in their order, as `record` would: for bulk commands."""
    assert _bulk_recorder is not None, "no event recorder: audit must be among INSTALLED_APPS"
    _bulk_recorder(entries)
