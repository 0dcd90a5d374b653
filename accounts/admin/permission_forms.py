"""The forms of the pages that ask: a question, and changes that are thought of."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any, Final

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.admin.permission_parts import inward
from accounts.permissions.faults import Refused
from accounts.permissions.language import Fault, Faulty, Model, parse
from accounts.permissions.language.faults import FaultType
from accounts.permissions.tuples import Tuple
from accounts.services import permission_models

LONGEST_MODEL: Final = 256 * 1024
_MOST_TUPLES: Final = 200
_FAULTS: Final = 10  # of a model, beside its text
_WRITTEN: Final = re.compile(r"(?P<object>[^\s@]+)#(?P<relation>[^\s#@]+)@(?P<user>\S+)(?P<rest>.*)")
_SAID: Final = re.compile(r"(?P<user>\S+)\s+(?P<relation>\S+)\s+(?P<object>\S+)(?P<rest>.*)")
_CONDITION: Final = re.compile(r"\s+with\s+(?P<name>\S+)(?:\s+(?P<context>\{.*\}))?\s*")


_CHOICES: Final = 15  # that are told in full; of more, the nearest
_FIELDS: Final = {"relation": "relation", "object": "target", "user": "subject"}


def with_choices(refused: Refused, given: str = "") -> str:
    """Return what is refused, and what would have been right: of many choices those that are nearest to `given`."""
    choices = refused.allowed
    if not choices or "allowed:" in str(refused):
        return str(refused)
    if len(choices) <= _CHOICES:
        return f"{refused} There are: {', '.join(choices)}."
    near = difflib.get_close_matches(given, choices, n=5, cutoff=0.5)
    told = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(choices[:_CHOICES])} and others."
    return f"{refused} {told}"


def refuse(form: forms.Form, refused: Refused) -> None:
    """Say what is refused, at the field that is wrong: the one that the refusal names, or else whose word it quotes."""
    quoted = (
        name for name in _FIELDS.values() if f"'{form.cleaned_data.get(name, '').partition(':')[0]}'" in str(refused)
    )
    name = _FIELDS.get(refused.member) or next(quoted, "")
    given = form.data.get(form.add_prefix(name), "") if name else ""
    form.add_error(name or None, with_choices(refused, given.strip()))


def named(text: str) -> str:
    """Return `inward(text)`; a fault of the field for an address that nobody has."""
    try:
        return inward(text)
    except ValueError as error:
        raise forms.ValidationError(str(error)) from error


class ContextField(forms.JSONField):
    """Parameters of conditions: a JSON object."""

    def __init__(self, help_text: str = "Parameters of conditions, as JSON.") -> None:
        super().__init__(
            label="Context",
            required=False,
            widget=UnfoldAdminTextInputWidget(attrs={"placeholder": '{"hour": 9}'}),
            help_text=help_text,
        )

    def prepare_value(self, value: Any) -> Any:
        return "" if value in (None, "", {}) else super().prepare_value(value)

    def clean(self, value: Any) -> Any:
        found = super().clean(value) or {}
        if not isinstance(found, dict):
            raise forms.ValidationError('The context is an object: {"hour": 9}.')
        return found


class QuestionForm(forms.Form):
    """Why has a subject a relation to an object, or why not?"""

    subject = forms.CharField(
        label="Who",
        max_length=600,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "ann@example.com"}),
        help_text="An e-mail address, an id (usr_…, sva_…), or type:id.",
    )
    relation = forms.CharField(
        label="Is what",
        max_length=50,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "billing.invoice.view", "list": "known-relations"}),
        help_text="A relation or a permission.",
    )
    target = forms.CharField(
        label="Of what",
        max_length=600,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "org_…"}),
        help_text="An id (org_…, inv_…), or type:id.",
    )
    context = ContextField()

    def clean_subject(self) -> str:
        return named(self.cleaned_data["subject"])

    def clean_target(self) -> str:
        return named(self.cleaned_data["target"])

    def clean_relation(self) -> str:
        return str(self.cleaned_data["relation"]).strip()


class TuplesField(forms.CharField):
    """A tuple on each line: `document:1#viewer@user:ann`, or `user:ann viewer document:1`; behind it perhaps
    `with condition {…}`."""

    def __init__(self, label: str) -> None:
        hint = "organization:org_…#viewer@user:ann@example.com"
        super().__init__(
            label=label,
            required=False,
            max_length=LONGEST_MODEL,
            widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": hint, "class": "ch-mono"}),
        )

    def clean(self, value: Any) -> tuple[Tuple, ...]:
        found = []
        lines = [(number, line.strip()) for number, line in enumerate((super().clean(value) or "").splitlines(), 1)]
        for number, line in lines:
            try:
                if line:
                    found.append(read_tuple(line))
            except (Refused, ValueError) as error:
                raise forms.ValidationError(f"Line {number}: {error}") from error
        if len(found) > _MOST_TUPLES:
            raise forms.ValidationError(f"At most {_MOST_TUPLES} tuples at a time.")
        return tuple(found)


def read_tuple(line: str) -> Tuple:
    """Read a tuple as people write it. Raises Refused, and ValueError for a context that is no JSON and an e-mail
    address that nobody has."""
    match = _WRITTEN.fullmatch(line) or _SAID.fullmatch(line)
    condition = _CONDITION.fullmatch(match["rest"]) if match and match["rest"].strip() else None
    if match is None or (match["rest"].strip() and condition is None):
        raise ValueError(f"'{line:.80}' is no tuple: it is written object#relation@subject.")
    document: dict[str, Any] = {
        "user": inward(match["user"]),
        "relation": match["relation"],
        "object": inward(match["object"]),
    }
    if condition:
        document["condition"] = {"name": condition["name"], "context": json.loads(condition["context"] or "{}")}
    return Tuple.parse(document)


class WhatIfForm(forms.Form):
    """Tuples to add and to remove, and another model."""

    added = TuplesField("Tuples to add")
    removed = TuplesField("Tuples to remove")
    text = forms.CharField(
        label="Another model",
        required=False,
        max_length=LONGEST_MODEL,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 14, "class": "ch-mono", "spellcheck": "false"}),
    )
    context = ContextField()

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        text = data.get("text", "").strip()
        data["model"] = None
        if text:
            data["model"], faults = read_model(text)
            if faults:
                shown = [_told(fault) for fault in faults[:_FAULTS]]
                rest = [f"And {len(faults) - _FAULTS} more."] if len(faults) > _FAULTS else []
                self.add_error("text", [*shown, *rest])
        if not self.errors and not (data.get("added") or data.get("removed") or data["model"]):
            raise forms.ValidationError("Say what would be otherwise: a tuple to add or to remove, or another model.")
        return data


def _told(fault: Fault) -> str:
    return f"Line {fault.place.line}: {fault.message}" if fault.place.line else fault.message


def read_model(text: str) -> tuple[Model | None, list[Fault]]:
    """Return the model of a text, or what is wrong with it: all faults at once, in the order of the text. One that is
    longer than a form takes is not looked into."""
    if len(text) > LONGEST_MODEL:
        told = f"The text has {len(text):,} characters; a model has {LONGEST_MODEL:,} at most."
        return None, [Fault(FaultType.SYNTAX, told)]
    try:
        model = parse(text)
    except Faulty as faulty:
        return None, list(faulty.faults)
    faults = permission_models.faults(model)
    return (None, faults) if faults else (model, [])
