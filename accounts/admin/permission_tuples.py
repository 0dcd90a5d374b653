"""Relation tuples in the admin: who stands where, seen and searched, written and deleted by one command."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin.permission_forms import ContextField, refuse
from accounts.admin.permission_parts import TUPLES_VIEW, Names, inward
from accounts.admin.permission_questions import what_if_view, why_view
from accounts.permissions import asking, names, tuples
from accounts.permissions.faults import Code, Refused
from accounts.permissions.models import RelationTuple
from accounts.permissions.product import STORE
from accounts.permissions.tuples import KEY, Tuple
from accounts.services import relations
from audit.models import Event
from core.access import allows
from core.admin import Call, CommandAction, CommandForm, Effect, Empty, EntityAdmin, Outcome
from core.admin.html import NOTHING, list_url, moment

WRITE: Final = "accounts.relation_tuple.write"


class TupleForm(CommandForm):
    """A tuple as it is written: subject, relation, object, perhaps a condition."""

    subject = forms.CharField(
        max_length=600,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "ann@example.com or team:tem_…#member or user:*"}),
        help_text="Who: an e-mail address, an id, type:id, type:* for everybody, or type:id#relation.",
    )
    relation = forms.CharField(max_length=50, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "viewer"}))
    target = forms.CharField(
        label="Object",
        max_length=600,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "organization:org_…"}),
        help_text="To what: an id, or type:id.",
    )
    condition = forms.CharField(
        max_length=50, required=False, widget=UnfoldAdminTextInputWidget, help_text="A condition of the model, if any."
    )
    context = ContextField('What the condition is told: {"hour": 9}. The request tells the rest.')

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        model = asking.model()
        document: dict[str, Any] = {"relation": data.get("relation", "").strip()}
        for name, member in (("subject", "user"), ("target", "object")):
            try:
                document[member] = inward(data.get(name, ""))
            except ValueError as error:
                self.add_error(name, str(error))
        if data.get("condition"):
            document["condition"] = {"name": data["condition"].strip(), "context": data.get("context") or {}}
        elif data.get("context"):
            self.add_error("context", "A context is for a condition: name that too.")
        if self.errors:
            return data
        try:
            data["tuple"] = tuples.read(model, document)
            names.check_ids(data["tuple"])
            tuples.check(model, data["tuple"], Code.VALIDATION)
        except Refused as refused:
            refuse(self, refused)
        return data


def _stored(one: Tuple) -> QuerySet[RelationTuple]:
    """The row of a tuple, under whatever condition."""
    return RelationTuple.objects.filter(store__name=STORE, **dict(zip(KEY, one.key, strict=True)))


def _add(call: Call[RelationTuple]) -> RelationTuple:
    asked = asking.engine_of_now()
    one: Tuple = call.data["tuple"]
    relations.write(actor=call.actor, engine=asked, writes=[one], on_duplicate="error")
    return _stored(one).get()


def _remove(call: Call[RelationTuple]) -> None:
    asked = asking.engine_of_now()
    relations.write(actor=call.actor, engine=asked, deletes=[Tuple.of(call.obj)], on_missing="error")


def _added(call: Call[RelationTuple]) -> Iterable[Effect]:
    one: Tuple = call.data["tuple"]
    ends = [str(one.subject), str(one.object)]
    shown = Names.of(ends)
    there = "stands already" if _stored(one).exists() else ""
    yield Effect("Who", "", shown.shown(ends[0]))
    yield Effect("Has", there, f"{one.relation}, if {one.condition}" if one.condition else one.relation)
    yield Effect("Of", "", shown.shown(ends[1]))
    for name in shown.missing(ends):
        yield Effect("Unknown", "", f"There is no {name}. Is the id whole?")


ADD: CommandAction[RelationTuple] = CommandAction(
    "add",
    "Add a tuple",
    WRITE,
    _add,
    preview=_added,
    form=TupleForm,
    text="Gives a subject a relation to an object, at once. “What if” shows beforehand all that follows from it.",
    done="The tuple was written.",
    icon="add",
)
REMOVE: CommandAction[RelationTuple] = CommandAction(
    "remove",
    "Remove",
    WRITE,
    _remove,
    preview=lambda call: (Effect(str(Tuple.of(call.obj)), "holds", "is gone"),),
    text="Takes what the tuple gives, at once.",
    done="The tuple was removed.",
    icon="delete",
    is_dangerous=True,
    outcome=lambda _: Outcome("The tuple was removed."),
)


class _ByModel(admin.SimpleListFilter):
    """Filters offer what the newest model knows: the table itself is too long to be asked."""

    def choices_of(self) -> Iterable[str]:
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in self.choices_of()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[RelationTuple]) -> QuerySet[RelationTuple]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class ObjectType(_ByModel):
    title = "object"
    parameter_name = "object_type"

    def choices_of(self) -> Iterable[str]:
        types = asking.model().types.values()
        return [one.name for one in types if any(relation.is_assignable for relation in one.relations.values())]


class ByRelation(_ByModel):
    title = "relation"
    parameter_name = "relation"

    def choices_of(self) -> Iterable[str]:
        types = asking.model().types.values()
        return sorted({one.name for of_type in types for one in of_type.relations.values() if one.is_assignable})


class SubjectType(_ByModel):
    title = "subject"
    parameter_name = "subject_type"

    def choices_of(self) -> Iterable[str]:
        types = asking.model().types.values()
        return sorted(
            {one.type for of_type in types for relation in of_type.relations.values() for one in relation.restrictions}
        )


@admin.register(RelationTuple)
class RelationTupleAdmin(EntityAdmin):
    list_display = ("who", "has", "of", "under", "since")
    list_filter = (ObjectType, ByRelation, SubjectType)
    search_by = ("object_id",)
    search_help_text = "E-mail, id, type:id, type:id#relation"
    facts = ("who", "has", "of", "under", "context", "since")
    commands = (REMOVE,)
    row_commands = ("remove",)
    creation = ADD
    is_exportable = False
    has_timeline = False
    empty = Empty(
        "No tuples yet",
        "A tuple says who has which relation to what. The product writes its own; add others here.",
        icon="account_tree",
    )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and allows(self.admin_site.actor_of(request), TUPLES_VIEW)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RelationTuple]:
        found: QuerySet[RelationTuple] = super().get_queryset(request)
        return found.filter(store__name=STORE)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RelationTuple], search_term: str
    ) -> tuple[QuerySet[RelationTuple], bool]:
        try:
            term = inward(search_term)
        except ValueError:  # an address that nobody has
            return queryset.none(), False
        return (queryset.filter(_stands_in(term)) if term else queryset), False

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The rows of a page with the names of all that stands in them, looked up together."""
        changelist = super().get_changelist_instance(request)
        rows = list(changelist.result_list)
        found = Names.of(text for row in rows for text in _ends(row))
        for row in rows:
            row.names = found
        changelist.result_list = rows
        return changelist

    def get_title(self, obj: RelationTuple) -> object:
        subject, target = _ends(obj)
        shown = Names.of((subject, target))
        return format_html("{} is {} of {}", shown.shown(subject), obj.relation, shown.shown(target))

    def way_back(self, obj: RelationTuple) -> str:
        return reverse("admin:accounts_relationtuple_changelist")

    def timeline_url(self, obj: RelationTuple) -> str:
        return list_url(Event, "q=accounts.relation.changed")

    def get_urls(self) -> list[URLPattern]:
        def at(view: Any) -> Any:
            def page(request: HttpRequest) -> Any:
                return view(self, request)

            return self.admin_site.admin_view(page)  # each asks for the rights that it needs

        return [
            path("why/", at(why_view), name="accounts_permission_why"),
            path("what-if/", at(what_if_view), name="accounts_permission_what_if"),
            *super().get_urls(),
        ]

    @display(description="Subject")
    def who(self, obj: RelationTuple) -> object:
        return _names(obj).shown(_ends(obj)[0])

    @display(description="Relation")
    def has(self, obj: RelationTuple) -> str:
        return obj.relation

    @display(description="Object")
    def of(self, obj: RelationTuple) -> object:
        return _names(obj).shown(_ends(obj)[1])

    @display(description="Condition")
    def under(self, obj: RelationTuple) -> str:
        return obj.condition or NOTHING

    @display(description="Since")
    def since(self, obj: RelationTuple) -> object:
        return moment(obj.created_at)


def _ends(row: RelationTuple) -> tuple[str, str]:
    one = Tuple.of(row)
    return str(one.subject), str(one.object)


def _names(row: RelationTuple) -> Names:
    found: Names | None = getattr(row, "names", None)
    return found if found is not None else Names.of(_ends(row))


def _stands_in(term: str) -> Q:
    """Tuples in which `type:id`, `type:id#relation` or an id stands on either side."""
    kind, mark, rest = term.partition(":")
    if not mark:
        types = list(asking.model().types)  # an index leads by type
        return Q(object_type__in=types, object_id=term) | Q(subject_type__in=types, subject_id=term)
    key, mark, relation = rest.partition("#")
    target, subject = Q(object_type=kind, object_id=key), Q(subject_type=kind, subject_id=key)
    if mark:
        return (target & Q(relation=relation)) | (subject & Q(subject_relation=relation))
    return target | subject
