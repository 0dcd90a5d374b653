"""Versions of the permission model in the admin: read, compared, and edited with what is wrong beside its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.decorators import display

from accounts.admin.permission_forms import read_model
from accounts.admin.permission_parts import Line, coloured, lines_of
from accounts.permissions import asking, problems
from accounts.permissions.comparing import preview
from accounts.permissions.differences import differences
from accounts.permissions.language import Fault, from_json, to_dsl
from accounts.permissions.models import PermissionModel, PermissionStore
from accounts.permissions.product import STORE
from accounts.services import permission_models
from audit.models import Event
from core import ids
from core.access import allows
from core.admin import Call, CommandAction, CommandForm, Effect, Empty, EntityAdmin
from core.admin.actions import run_command_view
from core.admin.html import link, list_url, state

CREATE: Final = "accounts.permission_model.create"
VIEW: Final = "accounts.permission_model.view"
_FIRST: Final = """model
  schema 1.1

type user

type document
  relations
    define owner: [user]
    define viewer: [user] or owner
"""
_CHANGES: Final = 12  # of the model, in a preview
_NAMED: Final = 5  # grants in a preview
_AROUND: Final = 3  # lines shown around a difference


def text_of(row: PermissionModel) -> str:
    """Return a version as its author writes it."""
    return to_dsl(from_json(row.document))


class ModelEditor(forms.Textarea):
    """A model's text with numbered lines, and what is wrong beside the line it stands in."""

    template_name = "admin/permissions/editor.html"
    faults: tuple[Fault, ...] = ()

    class Media:
        css = {"all": ["accounts/permissions.css"]}
        js = ["accounts/permissions.js"]

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """By the project's own templates, where forms look for none."""
        return render_to_string(self.template_name, self.get_context(name, value, attrs))

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        found = super().get_context(name, value, attrs)
        found["faults"] = [problems.document_of(fault) for fault in self.faults]
        found["numbers"] = range(1, len(str(value or "").splitlines()) + 2)
        found["validate_url"] = reverse("admin:accounts_permissionmodel_validate")
        return found


class ModelForm(CommandForm):
    """The text of the next version."""

    unshown = ("text",)

    text = forms.CharField(label="Model", widget=ModelEditor, strip=False)

    def __init__(self, *args: Any, obj: PermissionModel, **kwargs: Any) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        self.fields["text"].initial = text_of(obj) if obj.document else _FIRST

    def clean_text(self) -> str:
        text = str(self.cleaned_data["text"])
        model, faults = read_model(text)
        widget = self.fields["text"].widget
        assert isinstance(widget, ModelEditor)
        widget.faults = tuple(faults)
        if faults:
            what = "fault" if len(faults) == 1 else f"{len(faults)} faults"
            raise forms.ValidationError(f"Mend the {what} first.")
        if model == asking.model():
            raise forms.ValidationError("Nothing is different from the version in force: change the text first.")
        self.cleaned_data["model"] = model
        return text


def _effects(call: Call[PermissionModel]) -> Iterable[Effect]:
    model, faults = read_model(call.data["text"])
    asked = asking.engine_of_now()
    assert model is not None, faults  # the form said so
    changes = differences(asked.model, model)
    for one in changes[:_CHANGES]:
        yield Effect(f"{one.kind} {one.name}".capitalize(), "", one.change)
    if len(changes) > _CHANGES:
        yield Effect("Further changes of the model", "", len(changes) - _CHANGES)
    with problems.told():
        found = preview(asked, model=model)
    more = "" if found.is_complete else " or more"
    yield Effect("Grants lost", "", f"{len(found.lost)}{more}")
    yield Effect("Grants gained", "", f"{len(found.gained)}{more}")
    for grant in found.lost[:_NAMED]:
        yield Effect(str(grant), "allowed", "not allowed")
    for grant in found.gained[:_NAMED]:
        yield Effect(str(grant), "not allowed", "allowed")
    for reason in found.cut:
        yield Effect("Not all was compared", "", reason)


def _create(call: Call[PermissionModel]) -> PermissionModel:
    model, faults = read_model(call.data["text"])
    assert model is not None, faults  # the form said so
    return permission_models.create(actor=call.actor, model=model)


NEW: CommandAction[PermissionModel] = CommandAction(
    "create",
    "New version",
    CREATE,
    _create,
    preview=_effects,
    form=ModelForm,
    text="From its commit on every question is answered by the new version. Older versions stay.",
    done="The model has a new version.",
    icon="edit",
)


@admin.register(PermissionModel)
class PermissionModelAdmin(EntityAdmin):
    list_display = ("identifier", "standing", "holds", "created")
    facts = ("standing", "holds", "created_at")
    creation = NEW
    is_exportable = False
    has_timeline = False
    object_template = "admin/permissions/model.html"
    empty = Empty(
        "No permission model yet",
        "It says which relations there are and what follows from them. The product puts its own in place.",
        "python3 manage.py migrate",
        icon="schema",
    )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and allows(self.admin_site.actor_of(request), VIEW)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PermissionModel]:
        found: QuerySet[PermissionModel] = super().get_queryset(request)
        newer = PermissionModel.objects.filter(store_id=OuterRef("store_id"), pk__gt=OuterRef("pk"))
        return found.filter(store__name=STORE).select_related("store").annotate(is_newest=~Exists(newer))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Find a version by its number, or by its public id."""
        try:
            number = ids.decode(PermissionModel.id_prefix, object_id).int
        except ids.MalformedId:
            number = int(object_id) if object_id.isascii() and object_id.isdigit() else 0
        return self.get_queryset(request).filter(pk=number).first() if number < 2**63 else None

    def get_title(self, obj: PermissionModel) -> object:
        return f"Model of {obj.created_at:%-d %b %Y, %H:%M}"

    def get_states(self, obj: PermissionModel) -> Iterable[object]:
        return [self.standing(obj)]

    def timeline_url(self, obj: PermissionModel) -> str:
        return list_url(Event, "q=accounts.permission_model.created")

    @display(description="State")
    def standing(self, obj: PermissionModel) -> object:
        return state("active") if getattr(obj, "is_newest", False) else state("older", "neutral")

    @display(description="Holds")
    def holds(self, obj: PermissionModel) -> str:
        types = obj.document.get("type_definitions", [])
        number = sum(len(one.get("relations") or {}) for one in types)
        return f"{len(types)} types, {number} relations, {len(obj.document.get('conditions') or {})} conditions"

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponseBase:
        shown: dict[str, Any] = dict(extra_context or {})
        if object_id is not None:
            row = self._found(request, object_id)
            others = self.get_queryset(request).exclude(pk=row.pk).order_by("-pk")[:20]
            other = self._other(request, row)
            shown |= {
                "lines": lines_of(text_of(row)),
                "others": list(others),
                "other": other,
                "difference": list(_difference(text_of(other), text_of(row))) if other else [],
                "other_link": link(other, other.public_id) if other else "",
                "edit_url": reverse("admin:accounts_permissionmodel_new") + f"?version={row.pk}",
                "may_edit": allows(self.admin_site.actor_of(request), CREATE),
            }
        return super().changeform_view(request, object_id, form_url, shown)

    def _other(self, request: HttpRequest, row: PermissionModel) -> PermissionModel | None:
        """The version to compare with (`?with=`)."""
        named = request.GET.get("with", "")
        if not named:
            return None
        found = self.get_object(request, named)
        if found is None:
            raise Http404("There is no such version.")
        assert isinstance(found, PermissionModel)
        return found

    def creation_view(self, request: HttpRequest) -> HttpResponseBase:
        """The editor; it begins with `?version=`, the newest unless named."""
        rows = self.get_queryset(request).order_by("-pk")
        named = request.GET.get("version", "")
        found = self.get_object(request, named) if named else rows.first()
        if named and found is None:
            raise Http404("There is no such version.")
        store = found.store if found else PermissionStore(name=STORE)
        new = PermissionModel(store=store, document=found.document if found else None)
        return run_command_view(self, request, new, NEW)

    def validate_view(self, request: HttpRequest) -> JsonResponse:
        """Say what is wrong with a text that is being written: {"faults": [...]}."""
        if not allows(self.admin_site.actor_of(request), CREATE):
            raise PermissionDenied
        _, faults = read_model(request.POST.get("text", ""))
        answer = {"faults": [problems.document_of(fault) for fault in faults]}
        return JsonResponse(answer, headers={"Cache-Control": "no-store"})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.validate_view))
        return [path("validate/", view, name="accounts_permissionmodel_validate"), *super().get_urls()]


def _difference(old: str, new: str) -> Iterator[Line]:
    """Two versions line by line, with a few lines around what changed."""
    number = 0
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), n=_AROUND, lineterm=""):
        if line.startswith(("---", "+++")):
            continue
        if line.startswith("@@"):
            number = int(line.split("+")[1].split(",")[0].split(" ")[0]) - 1
            yield Line(0, coloured("…"), "…")
            continue
        number += line[0] != "-"
        yield Line(0 if line[0] == "-" else number, coloured(line[1:]), line[0].strip())
