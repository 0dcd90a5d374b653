"""The event log and its followers in the admin: read and filtered, never changed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.decorators import display

from audit.models import Event, Follower, FollowerState, Position, Tree
from audit.selectors.reading import Readable, readable
from audit.services import following
from core import clock, ids
from core.access import allows
from core.actor import ActorType
from core.admin import CommandAction, Effect, Empty, EntityAdmin, Figure
from core.admin.html import NOTHING, list_url, moment, shown, state
from core.events import catalogue
from core.models import entities_by_type


class KindFilter(admin.SimpleListFilter):
    """By type of event."""

    title, parameter_name = "type", "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(catalogue)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(type=self.value()) if self.value() else queryset


class ActorKindFilter(admin.SimpleListFilter):
    """By kind of actor."""

    title, parameter_name = "actor", "actor_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(kind), str(kind).replace("_", " ").capitalize()) for kind in ActorType]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(actor_type=self.value()) if self.value() else queryset


class TimeFilter(admin.SimpleListFilter):
    """By time of recording: a range of ids, which are made in the order of time."""

    title, parameter_name = "time", "within"
    _HOURS = {"hour": 1, "day": 24, "week": 7 * 24, "month": 30 * 24}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, f"The last {name}") for name in self._HOURS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        hours = self._HOURS.get(self.value() or "")
        return queryset.filter(id__gte=ids.lowest_id(clock.now() - timedelta(hours=hours))) if hours else queryset


@admin.register(Event)
class EventAdmin(EntityAdmin):
    list_display = ("what", "when", "who", "about", "why", "identifier")
    list_filter = (KindFilter, ActorKindFilter, TimeFilter)
    search_by = ("pk",)
    search_help_text = "Id of an event, a subject, an actor or a command; or a type"
    facts = (
        "type", "occurred_at", "who", "behalf", "about", "organization", "old", "new", "more", "circumstances",
        "hidden", "command_id", "sealed",
    )  # fmt: skip
    has_timeline = False
    empty = Empty("No events yet", "Every command writes one. Nothing was done so far.", icon="history")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup in ("subject_id", "actor_id", "organization_id", "command_id") or super().lookup_allowed(
            lookup, value, request
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        key = _key(term)
        if key is not None:
            return queryset.filter(Q(pk=key) | Q(subject_id=key) | Q(actor_id=key) | Q(command_id=key)), False
        return (queryset.filter(type__in=[name for name in catalogue if term in name]) if term else queryset), False

    @display(description="Event")
    def what(self, obj: Event) -> str:
        declared = catalogue.get(obj.type)
        return declared.text if declared else obj.type

    @display(description="When")
    def when(self, obj: Event) -> str:
        return moment(obj.occurred_at)

    @display(description="Who")
    def who(self, obj: Event) -> object:
        return _named(obj.actor_type, obj.actor_id, "actor_id")

    @display(description="On behalf of")
    def behalf(self, obj: Event) -> object:
        return _named(obj.on_behalf_of_type, obj.on_behalf_of_id, "actor_id") if obj.on_behalf_of_type else NOTHING

    @display(description="About")
    def about(self, obj: Event) -> object:
        return _named(obj.subject_type, obj.subject_id, "subject_id")

    @display(description="Why")
    def why(self, obj: Event) -> str:
        return str(obj.context.get("reason") or NOTHING)

    @display(description="Organisation")
    def organization(self, obj: Event) -> object:
        return _named("organization", obj.organization_id, "organization_id") if obj.organization_id else NOTHING

    @display(description="Before")
    def old(self, obj: Event) -> object:
        return _json(self._clear(obj).before)

    @display(description="After")
    def new(self, obj: Event) -> object:
        return _json(self._clear(obj).after)

    @display(description="Data")
    def more(self, obj: Event) -> object:
        return _json(self._clear(obj).data)

    @display(description="Context")
    def circumstances(self, obj: Event) -> object:
        return _json(self._clear(obj).context)

    @display(description="Hidden")
    def hidden(self, obj: Event) -> str:
        return ", ".join(self._clear(obj).hidden) or NOTHING

    @display(description="Sealed")
    def sealed(self, obj: Event) -> str:
        position = Position.objects.filter(event_id=obj.pk).first()
        return f"at position {position.position}, leaf {bytes(position.leaf_hash).hex()}" if position else "not yet"

    def get_title(self, obj: Event) -> object:
        return self.what(obj)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Decrypt once, for who looks at the page."""
        obj = super().get_object(request, object_id, from_field)
        if obj is not None:
            may = allows(self.admin_site.actor_of(request), "audit.personal.read")
            (obj.clear,) = readable([obj], may_read_personal=may)
        return obj

    def _clear(self, obj: Any) -> Readable:
        return obj.clear


def _parked(follower: Follower) -> bool:
    return follower.state == FollowerState.PARKED


@admin.register(Follower)
class FollowerAdmin(EntityAdmin):
    view_permission = "audit.follower.reset"
    ordering = ("name",)
    list_display = ("name", "standing", "position", "behind", "failures", "moved")
    search_by = ("^name",)
    search_help_text = "Name or id"
    facts = ("name", "position", "failures", "retry_at", "error", "moved_at")
    has_timeline = False
    empty = Empty("No followers yet", "The relay adds them when it starts.", "python3 manage.py relay", "podcasts")
    commands = (
        CommandAction[Follower](
            name="reset",
            title="Let it go on",
            permission="audit.follower.reset",
            perform=lambda call: following.reset(actor=call.actor, name=call.obj.name),
            is_offered=_parked,
            preview=lambda call: [Effect("State", "parked", "running"), Effect("Goes on behind", call.obj.position)],
            text="Try the event again that it could not take, once the cause is gone.",
            done="The follower goes on.",
            icon="play_arrow",
        ),
    )

    @display(description="State")
    def standing(self, obj: Follower) -> object:
        return state(obj.state, "danger" if _parked(obj) else None)

    @display(description="Behind")
    def behind(self, obj: Follower) -> int:
        return max(0, Tree.objects.values_list("size", flat=True).get() - obj.position)

    @display(description="Moved")
    def moved(self, obj: Follower) -> object:
        return moment(obj.moved_at)

    def get_states(self, obj: Follower) -> Iterable[object]:
        return [self.standing(obj)]

    def get_figures(self, request: HttpRequest, obj: Follower) -> Sequence[Figure]:
        return [Figure("Position", obj.position), Figure("Behind", self.behind(obj))]


def _key(text: str) -> UUID | None:
    try:
        return ids.split(text)[1]
    except ids.MalformedId:
        try:
            return UUID(text)
        except ValueError:
            return None


def _named(kind: str, key: UUID | None, column: str) -> object:
    """A type and the end of an id, as a link to all events with it."""
    if kind == ActorType.SYSTEM:
        return "Countinghouse"
    if key is None:
        return kind.replace("_", " ")
    model = entities_by_type.get("user" if kind == "staff" else kind.replace("_", ""))
    whole = ids.encode(model.id_prefix, key) if model else str(key)
    address = list_url(Event, f"{column}={key}")
    html = format_html('<a class="ch-link" href="{}" title="{}">{} …{}</a>', address, whole, kind, whole[-8:])
    return shown(html, f"{kind} {whole}")


def _json(value: Any) -> object:
    if not value:
        return NOTHING
    return format_html('<pre class="ch-pre">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False))
