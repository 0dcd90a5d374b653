"""The forms of the pages that ask: a question, and changes that are thought of."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.permissions import names
from accounts.permissions.faults import Refused
from accounts.permissions.language import Fault, Faulty, Model, parse
from accounts.permissions.tuples import Tuple
from accounts.services import permission_models

_LONGEST_MODEL: Final = 256 * 1024
_MOST_TUPLES: Final = 200
_WRITTEN: Final = re.compile(r"(?P<object>[^\s@]+)#(?P<relation>[^\s#@]+)@(?P<user>\S+)(?P<rest>.*)")
_SAID: Final = re.compile(r"(?P<user>\S+)\s+(?P<relation>\S+)\s+(?P<object>\S+)(?P<rest>.*)")
_CONDITION: Final = re.compile(r"\s+with\s+(?P<name>\S+)(?:\s+(?P<context>\{.*\}))?\s*")


def with_choices(refused: Refused) -> str:
    """Return what is refused, and what would have been right."""
    return f"{refused} There are: {', '.join(refused.allowed)}." if refused.allowed else str(refused)


class ContextField(forms.JSONField):
    """Parameters of conditions: a JSON object."""

    def __init__(self) -> None:
        super().__init__(
            label="Context",
            required=False,
            widget=UnfoldAdminTextInputWidget(attrs={"placeholder": '{"hour": 9}'}),
            help_text="Parameters of conditions, as JSON.",
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
        label="Who", max_length=600, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "user:usr_…"})
    )
    relation = forms.CharField(
        label="Is what", max_length=50, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "viewer"})
    )
    target = forms.CharField(
        label="Of what", max_length=600, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "organization:org_…"})
    )
    context = ContextField()

    def clean_subject(self) -> str:
        return names.inward(self.cleaned_data["subject"].strip())

    def clean_target(self) -> str:
        return names.inward(self.cleaned_data["target"].strip())

    def clean_relation(self) -> str:
        return str(self.cleaned_data["relation"]).strip()


class TuplesField(forms.CharField):
    """A tuple on each line: `document:1#viewer@user:ann`, or `user:ann viewer document:1`; behind it perhaps
    `with condition {…}`."""

    def __init__(self, label: str) -> None:
        hint = "organization:org_…#viewer@user:usr_…"
        super().__init__(
            label=label,
            required=False,
            max_length=_LONGEST_MODEL,
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
    """Read a tuple as people write it. Raises Refused, and ValueError for a context that is no JSON."""
    match = _WRITTEN.fullmatch(line) or _SAID.fullmatch(line)
    condition = _CONDITION.fullmatch(match["rest"]) if match and match["rest"].strip() else None
    if match is None or (match["rest"].strip() and condition is None):
        raise ValueError(f"'{line:.80}' is no tuple: it is written object#relation@subject.")
    document: dict[str, Any] = {
        "user": names.inward(match["user"]),
        "relation": match["relation"],
        "object": names.inward(match["object"]),
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
        max_length=_LONGEST_MODEL,
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
                self.add_error("text", [str(fault) for fault in faults])
        if not self.errors and not (data.get("added") or data.get("removed") or data["model"]):
            raise forms.ValidationError("Say what would be otherwise: a tuple to add or to remove, or another model.")
        return data


def read_model(text: str) -> tuple[Model | None, list[Fault]]:
    """Return the model of a text, or what is wrong with it: all faults at once, in the order of the text."""
    try:
        model = parse(text)
    except Faulty as faulty:
        return None, list(faulty.faults)
    faults = permission_models.faults(model)
    return (None, faults) if faults else (model, [])
