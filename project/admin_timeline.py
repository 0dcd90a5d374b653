"""Events as people read them: who did what, when, why, and what changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Model

from accounts.models import User
from audit.models import Event
from audit.selectors.reading import Readable, readable
from core import events
from core.actor import ActorType
from core.admin.html import NOTHING, admin_url, list_url
from core.ids import MalformedId, decode, encode
from core.models import Entity, entities_by_type
from core.money import Money, is_currency
from core.timeline import Change, TimelineEntry, words

PERSONAL: Final = "hidden"
_REFUSED: Final = "core.command.refused"
_SOURCES: Final = {"admin": "the admin", "api": "the API", "job": "a job", "command": "the command line"}
_DULL: Final = frozenset({"version", "updated_at", "reason", "note", "currency", "subscription_ids"})


def of(
    subjects: Sequence[Model], *, limit: int, before: str = "", may_read_personal: bool = False
) -> list[TimelineEntry]:
    """Return the newest `limit` events about `subjects`; `before` is the public id of an event to go on from."""
    rows = Event.objects.filter(subject_id__in=[subject.pk for subject in subjects]).order_by("-id")
    try:
        rows = rows.filter(id__lt=decode(Event.id_prefix, before)) if before else rows
    except MalformedId:
        return []
    return entries(rows[:limit], may_read_personal=may_read_personal)


def latest(*, limit: int) -> list[TimelineEntry]:
    """Return the newest events of the whole house, but for the sections of the help pages: a new version publishes a
    hundred of them at once, and they are no news to anybody."""
    return entries(Event.objects.exclude(type__startswith="ai.help_page.").order_by("-id")[:limit])


def events_url() -> str:
    """Return the address of the audit log, "" when it has no page."""
    return list_url(Event)


def entries(rows: Iterable[Event], *, may_read_personal: bool = False) -> list[TimelineEntry]:
    """Put events into words. What they name by id is looked up with one query for each kind of thing."""
    found = list(rows)
    people = {row.actor_id for row in found if row.actor_id is not None}
    actors = dict(User.objects.filter(pk__in=people).values_list("pk", "email")) if people else {}
    clear = readable(found, may_read_personal=may_read_personal)
    names = _names_of([section for row in clear for section in (row.before, row.after, row.data) if section])
    subjects = _subjects_of(found)
    return [_entry(row, actors, names, subjects.get(row.event.subject_id)) for row in clear]


def _subjects_of(rows: list[Event]) -> dict[UUID, Entity]:
    wanted: dict[type[Entity], set[UUID]] = {}
    for row in rows:
        if (model := entities_by_type.get(row.subject_type)) is not None:
            wanted.setdefault(model, set()).add(row.subject_id)
    return {found.pk: found for model, ids in wanted.items() for found in model._base_manager.filter(pk__in=ids)}


def _names_of(sections: list[dict[str, Any]]) -> dict[str, str]:
    """Return what the ids in the sections' `*_id` members are called."""
    wanted: dict[type[Entity], set[str]] = {}
    for section in sections:
        for member, value in section.items():
            model = _model_of(member)
            if model is not None and isinstance(value, str):
                wanted.setdefault(model, set()).add(value)
    return {str(row.pk): str(row) for model, ids in wanted.items() for row in model._base_manager.filter(pk__in=ids)}


def _model_of(member: str) -> type[Entity] | None:
    """ "pending_price_id" names a price, "default_payment_method_id" a payment method."""
    if not member.endswith("_id"):
        return None
    parts = member.removesuffix("_id").split("_")
    names = ("".join(parts[start:]) for start in range(len(parts)))
    return next((entities_by_type[name] for name in names if name in entities_by_type), None)


def _entry(clear: Readable, actors: dict[UUID, str], names: dict[str, str], subject: Entity | None) -> TimelineEntry:
    row, data = clear.event, clear.data
    currency = str(data.get("currency") or getattr(subject, "currency", "") or "")
    is_refusal = row.type == _REFUSED
    declared = events.catalogue.get(row.type)
    text = declared.text if declared else row.type
    return TimelineEntry(
        id=row.public_id,
        type=row.type,
        text=f"Refused: {_verb(str(data.get('command', 'a command')))}." if is_refusal else text,
        occurred_at=row.occurred_at,
        actor=_actor(row, actors),
        source=_SOURCES.get(str(clear.context.get("source", "")), "") if row.actor_type != ActorType.SYSTEM else "",
        reason=str(clear.context.get("reason") or data.get("reason") or ""),
        changes=tuple(_changes(clear, currency, names)),
        details=tuple(_details(data, currency, names)),
        is_refusal=is_refusal,
        url=admin_url(row),
        subject=_called(subject) if subject is not None else "",
        subject_url=admin_url(subject) if subject is not None else "",
    )


def _called(subject: Entity) -> str:
    """ "customer 7590-VHVEG"; an id is shown by its end."""
    name = str(subject)
    name = f"…{name[-8:]}" if name == subject.public_id else name
    return f"{subject._meta.verbose_name} {name}"


def _actor(row: Event, actors: dict[UUID, str]) -> str:
    if row.actor_type == ActorType.SYSTEM:
        return "Countinghouse"
    name = actors.get(row.actor_id) if row.actor_id is not None else None
    kind = row.actor_type.replace("_", " ")
    return f"{name} ({kind})" if name else kind.capitalize()


def _verb(command: str) -> str:
    """ "billing.subscription.change_plan" -> "change plan"."""
    return command.rpartition(".")[2].replace("_", " ")


def _changes(row: Readable, currency: str, names: dict[str, str]) -> Iterable[Change]:
    before, after = row.before or {}, row.after or {}
    currency = str(after.get("currency") or currency)
    for member, value in after.items():
        old = before.get(member)
        if f"after.{member}" in row.hidden:
            yield Change(_label(member), NOTHING, PERSONAL)
            continue
        if member in _DULL or old == value or (row.before is None and value in (None, "", [], False)):
            continue
        yield Change(_label(member), _value(member, old, currency, names), _value(member, value, currency, names))


def _details(data: dict[str, Any], currency: str, names: dict[str, str]) -> Iterable[tuple[str, str]]:
    for member, value in data.items():
        if member not in _DULL and member != "command" and value not in (None, "", [], {}):
            yield _label(member), _value(member, value, currency, names)


def _label(member: str) -> str:
    name = "external id" if member == "external_id" else member.removesuffix("_minor").removesuffix("_id")
    return name.removeprefix("is_").replace("_", " ")


def _value(member: str, value: object, currency: str, names: dict[str, str]) -> str:
    if member.endswith("_minor") and isinstance(value, int) and is_currency(currency):
        return Money(value, currency).format()
    if isinstance(value, str) and (model := _model_of(member)) is not None:
        return names.get(value) or _public_id(model, value)
    if isinstance(value, str) and member.endswith(("_at", "_start", "_end")):
        return _moment(value)
    return words(value)


def _public_id(model: type[Entity], value: str) -> str:
    try:
        return encode(model.id_prefix, UUID(value))
    except ValueError:
        return value


def _moment(value: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return f"{moment.day} {moment:%b %Y, %H:%M}"
