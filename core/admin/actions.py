"""Commands as staff give them: reason and parameters, a preview of what will happen, a confirmation.

On confirmation exactly one service is called, with the staff member as actor and the reason in the context. A refusal
is recorded and shown, and the form keeps what was typed. A form that is sent twice takes effect once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, models, transaction
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget

from core import clock, context
from core.access import allows
from core.actor import Actor
from core.admin.html import admin_url, link
from core.commands import record_refusal
from core.errors import AppError
from core.ids import new_id
from core.models import AdminSubmission

if TYPE_CHECKING:
    from core.admin.entities import EntityAdmin

_M = TypeVar("_M", bound=models.Model)
_TOKEN = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class Call(Generic[_M]):
    """One command as given: what a `CommandAction` translates into the arguments of its service. `key` names the form
    that was sent, for services that keep an operation key."""

    actor: Actor
    obj: _M
    data: dict[str, Any]
    reason: str
    now: datetime
    key: str


@dataclass(frozen=True, slots=True)
class Effect:
    """One line of a preview: what it is, how it is now and will be after."""

    label: str
    before: object = ""
    after: object = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command came to, for its message: `level` is success, warning or error."""

    text: str
    level: str = "success"


class CommandForm(forms.Form):
    """The parameters of a command; every command asks for its reason. Subclasses add fields and may read `self.obj`.
    `unshown` names those that are too long to be shown again before they are confirmed."""

    unshown: ClassVar[Sequence[str]] = ()

    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept in the audit log with your name. Write no secrets and no personal data.",
    )

    def __init__(self, *args: Any, obj: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.obj = obj
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])


@dataclass(frozen=True)
class CommandAction(Generic[_M]):
    """One command in the admin.

    `perform` calls the one service; `preview` says what it would do (it changes nothing); `is_offered` asks the states
    of the app whether the present state allows it; `permission` is asked of `core.access`. `done` is the message of
    success (`outcome` makes it from what the service returned), `text` says in a sentence what the command is for.
    After a command that deletes its object the page of `parent` follows; after one that `makes` another thing its
    message leads to that.
    """

    name: str
    title: str
    permission: str
    perform: Callable[[Call[_M]], object]
    is_offered: Callable[[_M], bool] = lambda obj: True
    preview: Callable[[Call[_M]], Iterable[Effect]] = lambda call: ()
    form: type[CommandForm] = CommandForm
    text: str = ""
    done: str = "Done."
    icon: str = "bolt"
    is_dangerous: bool = False
    outcome: Callable[[Any], Outcome] | None = None
    parent: Callable[[_M], models.Model] | None = None
    makes: Callable[[Any], models.Model] | None = None


def offered(actions: Sequence[CommandAction[Any]], obj: Any, actor: Actor) -> list[CommandAction[Any]]:
    """Return the commands that the object's state and the actor's permissions allow now."""
    return [action for action in actions if action.is_offered(obj) and allows(actor, action.permission, obj)]


def run_command_view(
    model_admin: EntityAdmin, request: HttpRequest, obj: Any, action: CommandAction[Any]
) -> HttpResponseBase:
    """Serve one command: the form, then its preview with the confirmation, then the call and the way back."""
    actor = model_admin.admin_site.actor_of(request)
    if not allows(actor, action.permission, obj):
        raise PermissionDenied
    if request.method != "POST":
        if not action.is_offered(obj):
            messages.warning(request, f"{action.title}: the present state does not allow this.")
            return HttpResponseRedirect(admin_url(obj))
        return _form_page(model_admin, request, action, obj, action.form(obj=obj))
    form = action.form(request.POST, obj=obj)
    if not form.is_valid() or "back" in request.POST:
        return _form_page(model_admin, request, action, obj, form)
    token = request.POST.get("token", "")
    if not _TOKEN.fullmatch(token):
        token = new_id().hex
    data = dict(form.cleaned_data)
    call = Call(actor, obj, data, data.pop("reason"), clock.now(), f"admin:{token}")
    with context.changed(source="admin", reason=call.reason, idempotency_key=call.key):
        if "confirm" not in request.POST:
            return _preview_page(model_admin, request, action, call, form)
        return _confirmed(model_admin, request, action, call, form)


def _form_page(
    model_admin: EntityAdmin,
    request: HttpRequest,
    action: CommandAction[Any],
    obj: Any,
    form: CommandForm,
    error: AppError | None = None,
) -> HttpResponseBase:
    page = model_admin.page(
        request,
        obj,
        "admin/command.html",
        action=action,
        form=form,
        error=error,
        faults=_faults_elsewhere(form, error),
        is_recorded="confirm" in request.POST,
        token=new_id().hex,
        step="form",
    )
    page.status_code = error.status if error is not None and error.status < 500 else 200
    return page


def _faults_elsewhere(form: CommandForm, error: AppError | None) -> list[str]:
    """Say each fault of the input at its field; return those that are of none and are not said already."""
    elsewhere = []
    for fault in error.faults if error is not None else ():
        name = fault.pointer.removeprefix("/")
        if name in form.fields:
            form.add_error(name, fault.detail)
        elif error is not None and fault.detail != error.detail:
            elsewhere.append(fault.detail)
    return elsewhere


def _preview_page(
    model_admin: EntityAdmin, request: HttpRequest, action: CommandAction[Any], call: Call[Any], form: CommandForm
) -> HttpResponseBase:
    try:
        effects = list(action.preview(call))
    except AppError as error:
        return _form_page(model_admin, request, action, call.obj, form, error)
    shown = [(bound.label, _shown(bound)) for bound in form if not bound.is_hidden and bound.name not in form.unshown]
    token = call.key.removeprefix("admin:")
    return model_admin.page(
        request,
        call.obj,
        "admin/command.html",
        action=action,
        form=form,
        effects=effects,
        answers=shown,
        token=token,
        step="confirm",
    )


def _shown(bound: forms.BoundField) -> object:
    """What was answered, in words."""
    value = bound.form.cleaned_data.get(bound.name)
    choices = getattr(bound.field, "choices", None)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if choices is not None and not isinstance(value, models.Model):
        words = dict(choices)
        return (
            ", ".join(str(words.get(one, one)) for one in value) if isinstance(value, list) else words.get(value, value)
        )
    return "–" if value in (None, "", {}) else value


def _confirmed(
    model_admin: EntityAdmin, request: HttpRequest, action: CommandAction[Any], call: Call[Any], form: CommandForm
) -> HttpResponseBase:
    if not _claim(call):
        messages.info(request, f"{action.title}: this form was sent before; it took effect once.")
        return HttpResponseRedirect(model_admin.way_back(call.obj))
    try:
        result = action.perform(call)
    except AppError as error:
        _release(call)
        record_refusal(error)
        return _form_page(model_admin, request, action, call.obj, form, error)
    outcome = action.outcome(result) if action.outcome else Outcome(action.done)
    if action.parent is not None:
        messages.add_message(request, getattr(messages, outcome.level.upper()), outcome.text)
        return HttpResponseRedirect(admin_url(action.parent(call.obj)) or reverse("admin:index"))
    obj: Any = result if call.obj._state.adding else call.obj
    address = model_admin.timeline_url(obj)
    if action.makes is not None:
        see = format_html(" {}", link(action.makes(result)))
    else:
        see = format_html(' <a class="ch-link" href="{}">See the timeline</a>', address) if address else SafeString()
    text = format_html("{}{}", outcome.text, see)
    messages.add_message(request, getattr(messages, outcome.level.upper()), text)
    return HttpResponseRedirect(model_admin.way_back(obj))


def _claim(call: Call[Any]) -> bool:
    """Take the form's one-time token; False when it was taken before. It commits at once, so that of two clicks at the
    same moment one wins."""
    try:
        with transaction.atomic():
            AdminSubmission.objects.create(key=call.key, principal=call.actor.principal)
    except IntegrityError:
        return False
    return True


def _release(call: Call[Any]) -> None:
    """A refused form may be sent again."""
    AdminSubmission.objects.filter(key=call.key).delete()
