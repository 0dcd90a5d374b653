"""Tuples as they are written, `document:1#viewer@group:eng#member`, and whether a model allows them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

from accounts.permissions.defined import find_relation
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language.model import WILDCARD, Model, Restriction

KEY: Final = ("object_type", "object_id", "relation", "subject_type", "subject_relation", "subject_id")
Key: TypeAlias = tuple[str, str, str, str, str, str]  # what KEY names: what makes a tuple the same as another

_LONGEST: Final = 256  # characters of an id
_OBJECT: Final = re.compile(r"([^:#@\s]{1,254}):([^#:\s]{1,256})")
_NOTHING: Final = frozenset({"", "undefined", "null", "None", "[object Object]"})
_SUBJECT: Final = re.compile(r"([^:#@\s]{1,254}):([^#:\s]{1,256})(?:#([^:#@\s]{1,50}))?")


@dataclass(frozen=True, slots=True)
class Object:
    """`document:1`."""

    type: str
    id: str

    @classmethod
    def parse(cls, text: str, code: Code = Code.VALIDATION) -> Self:
        """Raises Refused with `code` when the text is no object."""
        match = _OBJECT.fullmatch(text) if isinstance(text, str) else None
        if match is None or match[2] == WILDCARD:
            raise Refused(code, f"'{text!s:.300}' is no object: it is written type:id{_bound(text)}.", member="object")
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.type}:{self.id}"


@dataclass(frozen=True, slots=True)
class Subject:
    """`user:ann`, `user:*` (everybody of the type), `group:eng#member` (whoever has the relation)."""

    type: str
    id: str
    relation: str = ""

    @classmethod
    def parse(cls, text: str, code: Code = Code.VALIDATION) -> Self:
        """Raises Refused with `code` when the text is no subject."""
        match = _SUBJECT.fullmatch(text) if isinstance(text, str) else None
        if match is None or (match[2] == WILDCARD and match[3]):
            message = f"'{text!s:.300}' is no subject: it is written type:id, type:* or type:id#relation{_bound(text)}."
            raise Refused(code, message, member="user")
        return cls(match[1], match[2], match[3] or "")

    @property
    def is_everybody(self) -> bool:
        return self.id == WILDCARD

    def __str__(self) -> str:
        return f"{self.type}:{self.id}#{self.relation}" if self.relation else f"{self.type}:{self.id}"


@dataclass(frozen=True, slots=True)
class Tuple:
    """`subject` has `relation` to `object`, when `condition` (if there is one) holds."""

    object: Object
    relation: str
    subject: Subject
    condition: str = ""
    context: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any], code: Code = Code.INVALID_TUPLE) -> Self:
        """Read `{"user", "relation", "object", "condition": {"name", "context"}}`, OpenFGA's shape of a tuple key."""
        condition = document.get("condition") or {}
        return cls(
            Object.parse(document.get("object", ""), code),
            str(document.get("relation") or ""),
            Subject.parse(document.get("user", ""), code),
            condition.get("name", ""),
            condition.get("context") or None,
        )

    @classmethod
    def of(cls, row: Any) -> Self:
        """Return a row of `RelationTuple` as the engine knows it."""
        subject = Subject(row.subject_type, row.subject_id, row.subject_relation)
        return cls(Object(row.object_type, row.object_id), row.relation, subject, row.condition, row.context)

    @classmethod
    def of_key(cls, key: Sequence[str], condition: str = "", context: str | None = None) -> Self:
        """Return the tuple of a key, with its condition; `context` is JSON."""
        object_type, object_id, relation, subject_type, subject_relation, subject_id = key
        subject = Subject(subject_type, subject_id, subject_relation)
        return cls(
            Object(object_type, object_id), relation, subject, condition, json.loads(context) if context else None
        )

    @property
    def key(self) -> Key:
        """What makes it the same as another, whatever its condition."""
        subject = self.subject
        return self.object.type, self.object.id, self.relation, subject.type, subject.relation, subject.id

    def row(self) -> dict[str, Any]:
        """The tuple as columns of `RelationTuple`."""
        return {
            "object_type": self.object.type,
            "object_id": self.object.id,
            "relation": self.relation,
            "subject_type": self.subject.type,
            "subject_id": self.subject.id,
            "subject_relation": self.subject.relation,
            "condition": self.condition,
            "context": self.context,
        }

    def __str__(self) -> str:
        condition = f" with {self.condition}" if self.condition else ""
        return f"{self.object}#{self.relation}@{self.subject}{condition}"


# What a question brings along: tuples, or OpenFGA's JSON of them.
Given: TypeAlias = Iterable[Tuple | Mapping[str, Any]]


def read(model: Model, document: Any, code: Code = Code.VALIDATION) -> Tuple:
    """Read a tuple as `Tuple.parse` does, for somebody who may have left out the subject's type: it is filled in when
    the model allows exactly one. What a program writes by mistake for nothing is refused, with what is known."""
    if not isinstance(document, Mapping):
        raise Refused(code, "A tuple is an object with user, relation and object.")
    named = dict(document)
    for member in ("object", "user"):
        text = named.get(member)
        kind = text.partition(":")[0].strip() if isinstance(text, str) else ""
        if kind in _NOTHING or not isinstance(text, str) or (member == "object" and ":" not in text):
            what = f"'{text!s:.300}' is no {member}" if text is not None else f"There is no {member}"
            message = f"{what}: it is written type:id."
            raise Refused(code, message, tuple(model.types), member=member)
    if ":" not in named["user"]:
        wanted = Object.parse(named["object"], code)
        relation = model.relation(wanted.type, str(named.get("relation") or ""))
        allowed = sorted({one.type for one in relation.restrictions if not one.relation}) if relation else []
        if len(allowed) != 1:
            message = f"'{named['user']:.300}' has no type: it is written type:id."
            known = tuple(map(str, relation.restrictions)) if relation else tuple(model.types)
            raise Refused(code, message, known, member="user")
        named["user"] = f"{allowed[0]}:{named['user']}"
    return Tuple.parse(named, code)


def check(model: Model, one: Tuple, code: Code) -> None:
    """Raise Refused with `code` when `model` does not allow the tuple; its `allowed` are the restrictions."""
    relation = find_relation(model, one.object.type, one.relation, (code, code), of="object", member="relation")
    if not relation.is_assignable:
        message = f"'{one.object.type}#{one.relation}' is computed: no tuple is written for it."
        raise Refused(code, message, member="relation")
    if not any(_fits(restriction, one) for restriction in relation.restrictions):
        allowed = tuple(map(str, relation.restrictions))
        wanted = _as_restriction(one)
        place = f"'{one.object.type}#{one.relation}'"
        message = f"type '{wanted}' is not an allowed type restriction for {place}; allowed: {', '.join(allowed)}"
        subjects = {restriction.subject for restriction in relation.restrictions}
        member = "condition" if wanted.subject in subjects else "user"
        raise Refused(code, message, allowed, member=member)


def _bound(text: Any) -> str:
    """What an id must be that is of the right form otherwise."""
    if not isinstance(text, str):
        return ""
    if any(map(str.isspace, text)):
        return ", without spaces"
    return f", the id of {_LONGEST} characters at most" if len(text) > _LONGEST else ""


def allows(model: Model, one: Tuple) -> bool:
    """Whether `model` allows the tuple: one that it does not is stale, and every question ignores it."""
    try:
        check(model, one, Code.INVALID_TUPLE)
    except Refused:
        return False
    return True


def brought(model: Model, given: Given) -> tuple[Tuple, ...]:
    """Return the tuples that a question brings along. Raises Refused (2027) for one that `model` does not allow."""
    found = tuple(one if isinstance(one, Tuple) else Tuple.parse(one) for one in given)
    for one in found:
        check(model, one, Code.INVALID_TUPLE)
    return found


def _fits(restriction: Restriction, one: Tuple) -> bool:
    return (
        restriction.type == one.subject.type
        and restriction.relation == one.subject.relation
        and restriction.is_wildcard == one.subject.is_everybody
        and restriction.condition == one.condition
    )


def _as_restriction(one: Tuple) -> Restriction:
    subject = one.subject
    return Restriction(subject.type, subject.relation, subject.is_everybody, one.condition)
