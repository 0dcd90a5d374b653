"""Groups of staff in the admin: a name, and what its members may do."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from accounts.models import User
from accounts.permissions import STAFF_MANAGE
from accounts.services import staff_groups
from core import access
from core.admin import Empty
from core.admin.html import link
from core.errors import AppError

SHOWN: Final = 50


class StaffGroupForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a group is called and may do."""

    name = forms.CharField(max_length=150, widget=UnfoldAdminTextInputWidget)
    held = forms.MultipleChoiceField(
        label="May",
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What no box names, only administrators may.",
    )

    class Meta:
        model = Group
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["held"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(name, f"{name}: {access.permissions[name].text}") for name in staff_groups.grantable()]
        if self.instance.pk:
            self.initial["held"] = staff_groups.held_by(self.instance)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Group.objects.filter(name__iexact=name).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("There is a group of this name.")
        return name


@admin.register(Group)
class StaffGroupAdmin(ModelAdmin):
    """Only administrators, whom no group bounds, say what staff may do."""

    form = StaffGroupForm
    list_display = ("name", "members", "may")
    fields = ("name", "held", "people")
    readonly_fields = ("people",)
    search_fields = ("name",)
    actions = None
    empty = Empty(
        "No groups of staff yet",
        "A group says what its members may do at the desk. What no group names, only administrators may.",
        icon="shield_person",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        counted = super().get_queryset(request).annotate(member_count=Count("user"))
        return counted.annotate(held=ArraySubquery(staff_groups.tuples_of(OuterRef("pk")).values("relation")))

    @display(description="Members")
    def members(self, obj: Any) -> int:
        return int(obj.member_count)

    @display(description="May")
    def may(self, obj: Any) -> str:
        held = sorted(obj.held)
        return ", ".join(held[:3]) + (f" and {len(held) - 3} more" if len(held) > 3 else "") or "nothing"

    @display(description="Members")
    def people(self, obj: Group) -> object:
        found = list(User.objects.filter(groups=obj).order_by("email")[: SHOWN + 1]) if obj.pk else []
        if not found:
            return "Nobody yet. On the page of a person, “Change what they may” puts a staff member into groups."
        more = "" if len(found) <= SHOWN else " and others"
        return format_html("{}{}", format_html_join(", ", "{}", [(link(one),) for one in found[:SHOWN]]), more)

    def _is_administrator(self, request: HttpRequest) -> bool:
        if not (getattr(request.user, "is_staff", False) and request.user.is_active):
            return False
        actor = self.admin_site.actor_of(request)
        return actor.staff_groups is None and access.allows(actor, STAFF_MANAGE.name)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._is_administrator(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._is_administrator(request)

    has_add_permission = has_view_permission
    has_change_permission = has_view_permission
    has_delete_permission = has_view_permission

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> None:
        known = Group.objects.get(pk=obj.pk) if change else None
        saved = staff_groups.save(
            actor=self.admin_site.actor_of(request),
            name=form.cleaned_data["name"],
            permissions=form.cleaned_data["held"],
            group=known,
        )
        obj.pk = saved.pk

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        try:
            staff_groups.delete(actor=self.admin_site.actor_of(request), group=obj)
        except AppError as error:
            messages.error(request, str(error.detail))
