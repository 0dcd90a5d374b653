"""The operations of our schema, and how to ask one so that it gets as far as who asks may go."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

from core.ids import new_id
from tests.cast import Api
from tests.meta.company import BODIES, QUERIES, SUBJECTS

# What bodies name that is nothing of an organisation's, or for staff only.
NOBODYS = {"product_id", "billing_entity_id", "model_id", "contextual_tuples.object", "deletes.object"}
NOBODYS |= {"before.model_id", "after.model_id"}
METHODS = ("get", "post", "put", "patch", "delete")
Ids = Mapping[str, str]


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    name: str
    method: str
    path: str
    is_public: bool
    has_body: bool
    filters: tuple[str, ...]
    required: tuple[str, ...]
    named: frozenset[str]  # fields of its body that name rows: `customer_id`, `items.price_id`

    @property
    def is_named(self) -> bool:
        """Whether an id of somebody's stands in its address or its body."""
        return "{" in self.path or bool(self.named - NOBODYS)

    def address(self, those: Ids) -> str:
        """Fill in the ids of `those`, or of what `SUBJECTS` says that this operation is for."""
        own = {kind: those[row] for kind, row in SUBJECTS.get(self.name, {}).items() if row in those}

        def filled(match: re.Match[str]) -> str:
            kind = kind_of(match.string[: match.end()])
            return f"{match[1]}/{own.get(kind, those[kind])}"

        return re.sub(r"([a-z-]+)/\{(\w+)\}", filled, self.path)

    def body(self, those: Ids) -> dict[str, Any] | None:
        """Return a valid body about `those`, None when it takes none."""
        return BODIES.get(self.name, lambda those: {})(those) if self.has_body else None


_KINDS = {
    "organizations": "organization", "customers": "customer", "products": "product", "prices": "price",
    "teams/{team_id}/members": "team-members",
    "roles/{role_id}/assignees": "role-assignees",
}  # fmt: skip


def kind_of(path: str) -> str:
    """Return as what `company.py` knows the row that the last id of a path names."""
    before, name = path.removeprefix("/api/v1/").rsplit("/", 1)
    if name != "{id}":
        return name.strip("{}").removesuffix("_id")
    segment = before.rsplit("/", 1)[-1]
    return _KINDS.get(before, _KINDS.get(segment, segment))


def all_operations() -> list[Operation]:
    """Read them from the schema."""
    with GENERATOR_STATS.silence():
        schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    shapes = schema["components"]["schemas"]
    return [
        Operation(
            declared["operationId"],
            method,
            path,
            declared["security"] == [{}],
            "requestBody" in declared,
            tuple(one["name"] for one in declared.get("parameters", ()) if one["in"] == "query"),
            tuple(
                one["name"] for one in declared.get("parameters", ()) if one["in"] == "query" and one.get("required")
            ),
            frozenset(_named(_shape_of(declared), shapes)),
        )
        for path, methods in schema["paths"].items()
        for method, declared in methods.items()
        if method in METHODS
    ]


def _shape_of(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    content = declared.get("requestBody", {}).get("content", {})
    return content.get("application/json", {}).get("schema", {})


def _named(shape: Mapping[str, Any], shapes: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Walk the fields of a body, those of its parts too, for the ones that are ids."""
    if "$ref" in shape:
        shape = shapes[shape["$ref"].rpartition("/")[2]]
    for name, field in shape.get("properties", {}).items():
        if name.endswith(("_id", "_ids")) or name in ("object", "with"):
            yield f"{before}{name}"
        for part in (field, field.get("items", {}), *field.get("allOf", ())):
            if "$ref" in part and before.count(".") < 3:
                yield from _named(part, shapes, f"{before}{name}.")


@contextmanager
def undone() -> Iterator[None]:
    """Whatever happens inside has not happened."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@dataclass(frozen=True)
class Answer:
    """What was asked, in text, and the reply."""

    asked: str
    reply: Any

    @property
    def status(self) -> int:
        return int(self.reply.status_code)

    @property
    def text(self) -> str:
        return f"{dict(self.reply.headers)} {self.reply.content.decode()}"

    def shows(self, marks: frozenset[str]) -> list[str]:
        """Return those of `marks` that the reply tells and the question did not: as words of their own, since for a
        second now and then every new id has `acme` in it."""
        text = self.text
        found = (mark for mark in marks if mark in text and mark not in self.asked)
        return sorted(mark for mark in found if re.search(rf"(?<![0-9A-Za-z]){re.escape(mark)}(?![0-9A-Za-z])", text))


def ask(client: Api, operation: Operation, those: Ids, query: str | None = None, body: Any = None) -> Answer:
    """Ask, and undo what it did."""
    body = operation.body(those) if body is None else body
    query = QUERIES.get(operation.name, "") if query is None else query
    headers = {"Idempotency-Key": new_id().hex} if operation.method == "post" else {}
    address = operation.address(those) + query
    with undone():
        reply = getattr(client, operation.method)(address, body, headers=headers)
    return Answer(f"{address} {json.dumps(body)}", reply)


def told(answer: Answer, *known: Ids) -> tuple[object, ...]:
    """What a reply tells: status, names of headers, and its text without ids and request id."""
    text = answer.reply.content.decode()
    for those in known:
        for value in those.values():
            text = text.replace(value, "<id>")
    text = re.sub(r'"request_id":"[^"]*"', "", text)
    return answer.status, tuple(sorted(name.lower() for name in answer.reply.headers)), text
