"""What every page of an object looks like in the admin: figures, commands, facts, related rows, timeline.

Staff change nothing by editing rows. They give commands (`core.admin.actions`) that call the services the API calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol, TypeVar
from urllib.parse import unquote

from django.contrib.admin.utils import display_for_field, display_for_value, label_for_field, lookup_field
from django.core.exceptions import BadRequest, FieldError, ObjectDoesNotExist, PermissionDenied
from django.db import models
from django.db.models.sql import Query
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin
from unfold.decorators import display

from core.access import allows, sees
from core.actor import Actor
from core.admin.actions import CommandAction, offered, run_command_view
from core.admin.additions import added_commands, added_sections
from core.admin.html import NOTHING, identifier, link, moment
from core.admin.lists import BoundedPaginator, found_by
from core.admin.parts import Empty, Fact, Figure, Section
from core.ids import MalformedId, split
from core.models import Entity
from core.timeline import TimelineEntry

_M = TypeVar("_M", bound=models.Model)
_P = TypeVar("_P", Figure, Section)

_COMPARISONS = frozenset({
    "", "exact", "iexact", "in", "gt", "gte", "lt", "lte", "range", "isnull", "contains", "icontains", "startswith",
    "istartswith", "endswith", "iendswith",
})  # fmt: skip
ENTRIES_ON_PAGE = 20
ENTRIES_ON_TIMELINE = 50


class Site(Protocol):
    """What these pages ask of the site: it knows the higher apps, they do not."""

    name: str

    def actor_of(self, request: HttpRequest) -> Actor: ...

    def timeline_of(
        self, subjects: Sequence[models.Model], *, actor: Actor, limit: int, before: str = ""
    ) -> Sequence[TimelineEntry]: ...


@dataclass(frozen=True, slots=True)
class RowCommands:
    """What stands in the last column of a list, asked by the template for each row."""

    model_admin: EntityAdmin
    actor: Actor

    def of(self, obj: Any) -> list[dict[str, CommandAction[Any] | str]]:
        """The commands of one row."""
        names = self.model_admin.row_commands
        commands = [command for command in self.model_admin.commands if command.name in names]
        return self.model_admin.offered_commands(commands, obj, self.actor)


def sees_kind(site: Site, request: HttpRequest, model: type[models.Model]) -> bool:
    """Whether who asks is staff and sees rows of this kind; asked once in a request."""
    if not (getattr(request.user, "is_staff", False) and request.user.is_active):
        return False
    known: dict[type[models.Model], bool] = request.__dict__.setdefault("kinds_seen", {})
    if model not in known:
        known[model] = sees(site.actor_of(request), model())
    return known[model]


def shown_to(site: Site, request: HttpRequest, parts: Iterable[_P]) -> list[_P]:
    """Return those figures or sections whose rows the staff member may see."""
    return [one for one in parts if one.of is None or sees_kind(site, request, one.of)]


class EntityAdmin(ModelAdmin):
    """The admin of a table that only services change.

    `facts` names fields or methods shown on the object's page; `search_by` lookups that an index answers;
    `commands` what may be done; `row_commands` names those that stand beside each row of the list (their `is_offered`
    asks no query); `creation` makes a new one and returns it (it is given one that is not saved); `empty` what the
    list says while the table is empty; `view_permission` shows rows of a kind that no permission is named for.
    """

    view_permission: ClassVar[str] = ""
    facts: ClassVar[Sequence[str]] = ()
    search_by: ClassVar[Sequence[str]] = ()
    search_help_text = "A whole id"  # all that a list can be searched for whose `search_by` names nothing
    commands: ClassVar[Sequence[CommandAction[Any]]] = ()
    row_commands: ClassVar[Sequence[str]] = ()
    creation: ClassVar[CommandAction[Any] | None] = None
    related: ClassVar[Sequence[str]] = ()
    empty: ClassVar[Empty] = Empty()
    has_timeline: ClassVar[bool] = True

    ordering = ("-id",)
    sortable_by = ()
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = False
    paginator = BoundedPaginator
    list_display: Sequence[str] = ("identifier", "created")
    actions = None
    object_template: ClassVar[str] = "admin/entity.html"
    change_list_template = "admin/entity_list.html"
    is_exportable: ClassVar[bool] = True

    # Who may do what: rows are seen, never added, edited or deleted by hand.

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(self.has_view_permission(request))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Staff see the kinds of things that `core.access` says; what they may do, each command asks."""
        is_seen = sees_kind(self.admin_site, request, self.model)
        return is_seen and (not self.view_permission or allows(self.admin_site.actor_of(request), self.view_permission))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # The list

    @display(description="Id")
    def identifier(self, obj: Entity) -> str:
        return identifier(obj.public_id)

    @display(description="Created")
    def created(self, obj: Any) -> str:
        return moment(obj.created_at)

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        return tuple(self.search_by) or ("pk",)

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = search_term.strip()
        return (found_by(queryset, term, self.search_by) if term else queryset), False

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        queryset = super().get_queryset(request)
        return queryset.select_related(*self.related) if self.related else queryset

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """What is not shown cannot be asked for: filters by a hash would tell it letter by letter. Nor can be compared
        in a way that fails on what somebody typed (a regular expression, a year)."""
        name = lookup.split("__")[0]
        is_known = self._comparison(lookup) in _COMPARISONS
        return is_known and self._is_shown(name) and bool(super().lookup_allowed(lookup, value, request))

    def _comparison(self, lookup: str) -> str:
        """Return what stands behind the field in a lookup ("gte"); "" for nothing, or for the name of a filter."""
        try:
            return "__".join(Query(self.model).names_to_path(lookup.split("__"), self.opts)[3])
        except FieldError:
            return ""

    def _is_shown(self, name: str) -> bool:
        named = any(name == known or name == getattr(known, "parameter_name", "") for known in self.list_filter)
        is_relation = name in {field.name for field in self.opts.concrete_fields if field.is_relation}
        return named or is_relation or name == "id" or name in self.facts

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        if any("\x00" in value for values in request.GET.lists() for value in values[1]):
            raise BadRequest("NUL cannot be part of a value.")
        creation = self.creation
        if creation is not None and not allows(self.admin_site.actor_of(request), creation.permission):
            creation = None
        own = {"empty": self.empty, "is_exportable": self.is_exportable, "creation": creation}
        page = super().changelist_view(request, {**own, **(extra_context or {})})
        context = getattr(page, "context_data", None)
        if context is not None and self.row_commands:
            context["actions_row"] = RowCommands(self, self.admin_site.actor_of(request))
        return page

    # The object's page

    def get_title(self, obj: Any) -> object:
        """What the page is headed with."""
        return str(obj)

    def get_states(self, obj: Any) -> Iterable[object]:
        """The labels beside the title."""
        return ()

    def get_figures(self, request: HttpRequest, obj: Any) -> Sequence[Figure]:
        return ()

    def get_sections(self, request: HttpRequest, obj: Any) -> Sequence[Section]:
        return ()

    def get_subjects(self, obj: Any) -> Sequence[models.Model]:
        """The objects whose events stand on the timeline: this one, and those that are a part of its story."""
        return [obj]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Find the object by its key, or by its public id, so that a pasted address of either form works."""
        try:
            prefix, key = split(object_id)
        except MalformedId:
            return super().get_object(request, object_id, from_field)
        return super().get_object(request, str(key)) if prefix == getattr(self.model, "id_prefix", None) else None

    def get_facts(self, obj: Any) -> list[Fact]:
        """The facts that are known; what is empty is left out."""
        facts = (self._fact(name, obj) for name in self.facts)
        return [fact for fact in facts if fact.value not in (NOTHING, None, "")]

    def _fact(self, name: str, obj: Any) -> Fact:
        try:
            model_field, _, value = lookup_field(name, obj, self)
        except ObjectDoesNotExist:
            model_field, value = None, None
        label = str(label_for_field(name, self.model, self))
        if isinstance(value, models.Model) or (model_field is not None and model_field.is_relation):
            shown: object = link(getattr(obj, name))
        elif isinstance(model_field, models.DateTimeField | models.DateField):
            shown = moment(value)
        elif model_field is not None:
            shown = display_for_field(value, model_field, NOTHING)
        else:
            shown = display_for_value(value, NOTHING)
        return Fact(label[:1].upper() + label[1:], NOTHING if shown in (None, "") else shown)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponseBase:
        if object_id is None or self.has_change_permission(request):
            return super().changeform_view(request, object_id, form_url, extra_context)
        obj = self._found(request, object_id)
        subjects = self.get_subjects(obj) if self.has_timeline else []
        entries = self._timeline(request, subjects, ENTRIES_ON_PAGE + 1)
        return self.page(
            request,
            obj,
            self.object_template,
            figures=shown_to(self.admin_site, request, self.get_figures(request, obj)),
            facts=self.get_facts(obj),
            sections=shown_to(self.admin_site, request, [*self.get_sections(request, obj), *added_sections(obj)]),
            has_timeline=self.has_timeline,
            names_subjects=len(subjects) > 1,
            timeline=entries[:ENTRIES_ON_PAGE],
            timeline_url=self.timeline_url(obj) if len(entries) > ENTRIES_ON_PAGE else "",
            **(extra_context or {}),
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The whole timeline, 50 events at a time; `?before=` an event id goes on from there."""
        obj = self._found(request, object_id)
        before = request.GET.get("before", "")
        subjects = self.get_subjects(obj)
        entries = self._timeline(request, subjects, ENTRIES_ON_TIMELINE + 1, before)
        shown = entries[:ENTRIES_ON_TIMELINE]
        older = f"?before={shown[-1].id}" if len(entries) > ENTRIES_ON_TIMELINE else ""
        return self.page(
            request,
            obj,
            "admin/timeline.html",
            timeline=shown,
            older_url=older,
            is_first=not before,
            names_subjects=len(subjects) > 1,
        )

    def _timeline(
        self, request: HttpRequest, subjects: Sequence[models.Model], limit: int, before: str = ""
    ) -> Sequence[TimelineEntry]:
        site: Site = self.admin_site
        if not subjects:
            return ()
        return site.timeline_of(subjects, actor=site.actor_of(request), limit=limit, before=before)

    def page(self, request: HttpRequest, obj: Any, template: str, **context: Any) -> TemplateResponse:
        """Render a page about `obj`: its head (title, states, id, commands that its state allows) and `context`."""
        request.current_app = self.admin_site.name
        actor, is_new = self.admin_site.actor_of(request), obj._state.adding
        title = f"New {self.opts.verbose_name}" if is_new else str(obj)
        return TemplateResponse(
            request,
            template,
            {
                **self.admin_site.each_context(request),
                "title": title,
                "opts": self.opts,
                "original": None if is_new else obj,
                "object_id": obj.pk,
                "headline": title if is_new else self.get_title(obj),
                "states": [] if is_new else list(self.get_states(obj)),
                "public_id": "" if is_new else getattr(obj, "public_id", ""),
                "object_url": self.way_back(obj),
                "commands": self.offered_commands(self.all_commands, obj, actor),
                **context,
            },
        )

    def _found(self, request: HttpRequest, object_id: str) -> Any:
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404(f"There is no such {self.opts.verbose_name}.")
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        return obj

    # Commands

    @property
    def all_commands(self) -> list[CommandAction[Any]]:
        """The commands of an object's page: its own, and those that other apps add."""
        return [*self.commands, *added_commands(self.model)]

    def offered_commands(
        self, commands: Sequence[CommandAction[Any]], obj: Any, actor: Actor
    ) -> list[dict[str, CommandAction[Any] | str]]:
        """Those of `commands` that the object's state and the actor's permissions allow, each with its address."""
        return [{"action": one, "url": self.command_url(obj, one)} for one in offered(commands, obj, actor)]

    def command_url(self, obj: Any, action: CommandAction[Any]) -> str:
        return reverse(
            f"admin:{self.opts.app_label}_{self.opts.model_name}_command",
            args=[obj.pk, action.name],
            current_app="admin",
        )

    def way_back(self, obj: Any) -> str:
        """Return the address of the object's page, of the list for one that is still to be made."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        return reverse(f"{name}_changelist") if obj._state.adding else reverse(f"{name}_change", args=[obj.pk])

    def creation_view(self, request: HttpRequest) -> HttpResponseBase:
        """Make a new one, by a command as all others."""
        assert self.creation is not None
        return run_command_view(self, request, self.model(), self.creation)

    def timeline_url(self, obj: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_history", args=[obj.pk])

    def command_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponseBase:
        obj = self._found(request, object_id)
        action = next((action for action in self.all_commands if action.name == name), None)
        if action is None:
            raise Http404("There is no such command.")
        return run_command_view(self, request, obj, action)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_command"
        view = self.admin_site.admin_view(partial(self.command_view))
        own = [path("<path:object_id>/do/<slug:name>/", view, name=name)]
        if self.creation is not None:
            make = self.admin_site.admin_view(partial(self.creation_view))
            own.append(path("new/", make, name=f"{self.opts.app_label}_{self.opts.model_name}_new"))
        if self.is_exportable:
            ask = self.admin_site.admin_view(partial(self.export_view))
            own.append(path("export/", ask, name=f"{self.opts.app_label}_{self.opts.model_name}_export"))
        return [*own, *super().get_urls()]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Have this list as a file, with the filters of the address."""
        from core.exports.pages import request_view  # its form is one of the admin's, which begins here

        return request_view(self, request)
