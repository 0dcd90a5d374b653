"""Tuples over HTTP, for staff: read, write, delete."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

from accounts.api import permission_serializers as s
from accounts.api.permission_input import read_tuples
from accounts.api.permission_pages import next_page, read_page
from accounts.api.permission_questions import engine
from accounts.errors import (
    CursorInvalid,
    DuplicateTuples,
    PermissionModelNotFound,
    QuestionInvalid,
    TupleWriteFailed,
    WriteInvalid,
)
from accounts.permissions import RELATION_TUPLE_VIEW, RELATION_TUPLE_WRITE, names, problems, writes
from accounts.permissions.changes import Change
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import Model
from accounts.permissions.reading import Stored
from accounts.permissions.tuples import Object, Tuple
from accounts.permissions.writes import Outcome
from accounts.services import relations
from core.access import require
from core.api.operations import operation
from core.api.requests import Request
from core.api.views import APIView


class TupleView(APIView):
    tag = "permissions"

    @operation(
        query=s.TupleQuery,
        response=s.TuplePage,
        errors=(CursorInvalid, QuestionInvalid),
        operation_id="permissions_tuples_list",
        summary="List stored tuples",
    )
    def get(self, request: Request) -> dict[str, Any]:
        """In the order of their objects; in that of subjects when `user` is named and no object. Tuples that the model
        does not allow any more are listed too: no question reads them."""
        require(request.actor, RELATION_TUPLE_VIEW.name)
        asked = self.query()
        with problems.told("?"):
            page = engine().read(**_filters(asked), after=read_page(request, "tuples"))
        return {"data": list(map(shown, page.items)), "next": next_page(request, "tuples", page.next)}

    @operation(
        request=s.WriteInput,
        response=s.WriteReply,
        errors=(DuplicateTuples, PermissionModelNotFound, QuestionInvalid, TupleWriteFailed, WriteInvalid),
        examples=[
            OpenApiExample(
                "Share a document",
                {"writes": [{"user": "user:ann", "relation": "viewer", "object": "document:roadmap"}]},
                request_only=True,
            )
        ],
        operation_id="permissions_tuples_write",
        summary="Write and delete tuples",
    )
    def post(self, request: Request) -> dict[str, Any]:
        """All or none, deletions first. Answers say what became of each tuple, in the order of the request: `created`,
        `unchanged`, `replaced`; `removed`, `missing`."""
        require(request.actor, RELATION_TUPLE_WRITE.name)
        data = self.input()
        found = engine(data.pop("model_id", None))
        written, deleted = _lists(found.model, data)
        done = relations.write(actor=request.actor, engine=found, writes=written, deletes=deleted, **data)
        return {"writes": _outcomes(written, done.writes), "deletes": _outcomes(deleted, done.deletes)}


class ChangeView(APIView):
    tag = "permissions"

    @operation(
        query=s.ChangeQuery,
        response=s.ChangePage,
        errors=(CursorInvalid,),
        operation_id="permissions_changes_list",
        summary="Read what was written and deleted",
    )
    def get(self, request: Request) -> dict[str, Any]:
        """The oldest first, in the order of the commits: who reads on at `next` misses none. A change shows once all
        transactions that began before it have ended."""
        require(request.actor, RELATION_TUPLE_VIEW.name)
        asked = self.query()
        with problems.told("?"):
            page = engine().changes(
                of_type=asked.get("object_type"),
                start_time=asked.get("start_time"),
                limit=asked["limit"],
                after=read_page(request, "changes"),
            )
        data = [{"operation": one.operation, **shown(one)} for one in page.items]
        return {"data": data, "next": next_page(request, "changes", page.next), "complete": page.is_complete}


def _filters(asked: dict[str, Any]) -> dict[str, Any]:
    filters: dict[str, Any] = {name: asked.get(name) for name in ("object_type", "relation", "condition")}
    if "object" in asked:
        one = Object.parse(names.inward(asked["object"]))
        if filters["object_type"] not in (None, one.type):
            message = f"'{one}' is no object of the type '{filters['object_type']}'."
            raise Refused(Code.VALIDATION, message, member="object")
        filters |= {"object_type": one.type, "object_id": one.id}
    if "user" in asked:
        filters["subject"] = names.inward(asked["user"])
    return {**filters, "limit": asked["limit"]}


def _lists(model: Model, data: dict[str, Any]) -> tuple[list[Tuple], list[Tuple]]:
    """Take the two lists out of the body, read. Raises `WriteInvalid` when there is nothing in them."""
    writing, deleting = data.pop("writes", []), data.pop("deletes", [])
    if not writing and not deleting:
        with problems.told():
            raise Refused(Code.INVALID_WRITE, "Send 'writes', 'deletes' or both: lists of tuples.", member="writes")
    written = read_tuples(model, writing, "/writes", Code.VALIDATION, _check_written)
    return written, read_tuples(model, deleting, "/deletes", Code.VALIDATION)


def _check_written(model: Model, one: Tuple) -> None:
    names.check_ids(one)
    writes.check(model, one)


def _outcomes(asked: list[Tuple], outcomes: list[Outcome]) -> list[dict[str, str]]:
    return [{**key_of(one), "result": str(outcome)} for one, outcome in zip(asked, outcomes, strict=True)]


def key_of(one: Tuple) -> dict[str, str]:
    """Return user, relation and object of a tuple as the API shows them."""
    return {
        "user": names.outward(str(one.subject)),
        "relation": one.relation,
        "object": names.outward(str(one.object)),
    }


def shown(stored: Stored | Change) -> dict[str, Any]:
    """Return a tuple that was stored as the API shows it."""
    one = stored.tuple
    condition = {"name": one.condition, "context": one.context or {}} if one.condition else None
    return {**key_of(one), "condition": condition, "created_at": stored.created_at}
