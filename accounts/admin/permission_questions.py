"""Two pages that ask the permission engine: why somebody may do something, and what if something were otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.admin.permission_forms import QuestionForm, WhatIfForm, refuse, with_choices
from accounts.admin.permission_parts import WHAT_IF_NEEDS, WHY_NEEDS, Names, require_page
from accounts.permissions import asking
from accounts.permissions.comparing import preview
from accounts.permissions.comparisons import Comparison, Grant
from accounts.permissions.engine import Engine
from accounts.permissions.explanations import Explanation, Outcome, Step
from accounts.permissions.faults import Refused
from accounts.permissions.tuples import Tuple
from accounts.services import relations
from core import context
from core.access import allows
from core.commands import record_refusal
from core.errors import AppError

CREATE: Final = "accounts.permission_model.create"
WRITE: Final = "accounts.relation_tuple.write"
_SHOWN: Final = 200
_TONES: Final = {
    Outcome.HOLDS: "success",
    Outcome.EXCLUDED: "danger",
    Outcome.NO_VALUE: "warning",
    Outcome.UNDECIDED: "warning",
    Outcome.CUT: "warning",
}


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step as the page draws it."""

    relation: str
    place: object
    rule: str
    outcome: str
    tone: str
    who: object = None
    has: str = ""
    whose: object = None
    source: str = ""
    condition: str = ""
    steps: tuple[ShownStep, ...] = ()


def why_view(model_admin: Any, request: HttpRequest) -> HttpResponseBase:
    """Ask a question (`?subject=&relation=&target=`, so that it can be passed on) and draw its explanation."""
    require_page(model_admin, request, *WHY_NEEDS)
    asked = asking.engine_of_now()
    form = QuestionForm(request.GET if "subject" in request.GET else None)
    shown: dict[str, Any] = {}
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        try:
            found = asking.explain(data["subject"], data["relation"], data["target"], context=data["context"])
            shown = _explained(found)
        except Refused as refused:
            refuse(form, refused)
    return _page(model_admin, request, "why", "Why", form, asked, **shown)


def _explained(found: Explanation) -> dict[str, Any]:
    steps = [found.witness] if found.witness else list(found.tried)
    known = Names.of([found.subject, found.object, *(text for step in steps for text in _texts(step))])
    tone = {True: "success", False: "danger", None: "warning"}[found.is_allowed]
    return {
        "found": found,
        "tone": tone,
        "who": known.shown(found.subject),
        "whose": known.shown(found.object),
        "missing": known.missing([found.subject, found.object]),
        "steps": [_shown(step, known) for step in steps],
    }


def _texts(step: Step) -> Iterator[str]:
    yield step.at.rpartition("#")[0]
    if step.met:
        yield str(step.met.tuple.subject)
        yield str(step.met.tuple.object)
    for inner in step.steps:
        yield from _texts(inner)


def _shown(step: Step, known: Names) -> ShownStep:
    place, _, relation = step.at.rpartition("#")
    inner = tuple(_shown(one, known) for one in step.steps)
    tone = _TONES.get(step.outcome, "neutral")
    shown = (relation, known.shown(place), step.rule.partition(" <- ")[2] or step.rule, step.outcome.value, tone)
    if step.met is None:
        return ShownStep(*shown, steps=inner)
    one, met = step.met.tuple, step.met
    condition = ""
    if one.condition:
        values = ", ".join(f"{name} = {value!r}" for name, value in sorted(met.parameters.items()))
        told = met.why or f"{'holds' if met.holds else 'does not hold'} with {values or 'no parameters'}"
        condition = f"{one.condition}: {told}"
    source = "given" if met.is_given else "stored"
    ends = known.shown(str(one.subject)), one.relation, known.shown(str(one.object))
    return ShownStep(*shown, *ends, source, condition, inner)


def what_if_view(model_admin: Any, request: HttpRequest) -> HttpResponseBase:
    """Preview what other tuples or another model would give and take; tuples can then be applied."""
    actor = require_page(model_admin, request, *WHAT_IF_NEEDS)
    asked = asking.engine_of_now()
    form = WhatIfForm(request.POST if request.method == "POST" else None)
    shown: dict[str, Any] = {"may_apply": allows(actor, WRITE)}
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        shown |= {"compared": _fingerprint(data), "may_save": data["model"] and allows(actor, CREATE)}
        try:
            if "apply" in request.POST and not data["model"]:
                if not (unready := _unready(request, shown["compared"])):
                    return _applied(model_admin, request, asked, data)
                form.add_error(None, unready)
            found = preview(
                asked, model=data["model"], added=data["added"], removed=data["removed"], context=data["context"]
            )
            shown |= _compared(found) | {"missing": _missing(data["added"])}
        except Refused as refused:
            form.add_error(None, with_choices(refused))
        except AppError as error:
            record_refusal(error)
            form.add_error(None, error.detail)
        except OperationalError:
            form.add_error(None, "It took too long. Ask about fewer tuples at a time.")
    return _page(model_admin, request, "what_if", "What if", form, asked, **shown)


def _fingerprint(data: dict[str, Any]) -> str:
    """Tell two sets of changes apart."""
    return hashlib.sha256(repr((data["added"], data["removed"])).encode()).hexdigest()


def _unready(request: HttpRequest, fingerprint: str) -> str:
    """What is missing before changes are applied; "" when nothing is."""
    if request.POST.get("compared") != fingerprint:
        return "These are other tuples than those that were compared. Look at what they change, then apply them."
    return "" if request.POST.get("reason", "").strip() else "Say the reason for which you apply these tuples."


def _missing(added: Iterable[Tuple]) -> list[str]:
    ends = list(dict.fromkeys(text for one in added for text in (str(one.subject), str(one.object))))
    return Names.of(ends).missing(ends)


def _compared(found: Comparison) -> dict[str, Any]:
    grants = [*found.gained[:_SHOWN], *found.lost[:_SHOWN]]
    known = Names.of(text for grant in grants for text in (grant.subject, grant.object))
    return {
        "found": found,
        "gained": _grants(found.gained, known),
        "lost": _grants(found.lost, known),
        "most": _SHOWN,
    }


def _grants(grants: Iterable[Grant], known: Names) -> list[tuple[object, str, object]]:
    shown = list(grants)[:_SHOWN]
    return [(known.shown(one.subject), one.relation, known.shown(one.object)) for one in shown]


def _applied(model_admin: Any, request: HttpRequest, asked: Engine, data: dict[str, Any]) -> HttpResponseBase:
    actor = model_admin.admin_site.actor_of(request)
    if not allows(actor, WRITE):
        raise PermissionDenied
    with context.changed(source="admin", reason=request.POST["reason"].strip()[:500]):
        done = relations.write(
            actor=actor, engine=asked, writes=data["added"], deletes=data["removed"], on_duplicate="replace"
        )
    outcomes = [str(outcome) for outcome in (*done.writes, *done.deletes)]
    counts = ", ".join(f"{outcomes.count(name)} {name}" for name in dict.fromkeys(outcomes))
    messages.success(request, f"Applied: {counts}.")
    return HttpResponseRedirect(reverse("admin:accounts_relationtuple_changelist"))


def _page(
    model_admin: Any, request: HttpRequest, name: str, title: str, form: Any, asked: Engine, **shown: Any
) -> TemplateResponse:
    request.current_app = model_admin.admin_site.name
    types = asked.model.types
    actor = model_admin.admin_site.actor_of(request)
    page = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "content_title": title,  # where this stands; there may be nothing above it that the reader may open
        "form": form,
        "may_ask_what_if": all(allows(actor, permission) for permission in WHAT_IF_NEEDS),
        "sees_tuples": model_admin.has_view_permission(request),
        "known_relations": sorted({name for definition in types.values() for name in definition.relations}),
        "known_types": [kind for kind, definition in types.items() if definition.relations],
    }
    return TemplateResponse(request, f"admin/permissions/{name}.html", {**page, **shown})
