"""Lists of the permission engine: what may somebody do, who may do something."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

from accounts.api import permission_serializers as s
from accounts.api.permission_input import check_kind, read_object
from accounts.api.permission_pages import next_position, read_position
from accounts.api.permission_questions import QuestionView
from accounts.errors import (
    CursorInvalid,
    PermissionModelNotFound,
    QuestionInvalid,
    QuestionTooComplex,
    RelationNotFound,
    TupleInvalid,
    TypeNotFound,
)
from accounts.permissions import names, problems
from accounts.permissions.defined import NOT_FOUND, find_relation
from accounts.selectors.reached import page_of_objects
from core.api.operations import operation
from core.api.requests import Request

LIST_ERRORS = (
    CursorInvalid, PermissionModelNotFound, QuestionInvalid, QuestionTooComplex, RelationNotFound, TupleInvalid,
    TypeNotFound,
)  # fmt: skip


class ListObjectsView(QuestionView):
    @operation(
        request=s.ListObjectsInput,
        response=s.ListObjectsReply,
        idempotency="exempt",
        errors=LIST_ERRORS,
        examples=[OpenApiExample("What may I see?", {"relation": "viewer", "type": "document"}, request_only=True)],
        summary="List the objects to which somebody has a relation",
    )
    def post(self, request: Request) -> dict[str, Any]:
        """All of them, a page at a time, in the order of their ids. Staff ask about anybody; everybody else about
        themselves."""
        data = self.input()
        asked = self.asked(data)
        with problems.told():
            find_relation(asked.engine.model, data["type"], data["relation"], NOT_FOUND, of="type", member="relation")
            one = asked.about({**data, "object": f"{data['type']}:-"})
            bounds = {"limit": data["limit"], "after": read_position(request, data)}
            page = page_of_objects(
                asked.engine, str(one.subject), data["relation"], data["type"], **asked.brought, **bounds
            )
        objects = list(map(names.outward, page.items))
        return {"objects": objects, "next": next_position(request, page.next), "complete": page.is_complete}


class ListUsersView(QuestionView):
    is_for_staff = True

    @operation(
        request=s.ListUsersInput,
        response=s.ListUsersReply,
        idempotency="exempt",
        errors=LIST_ERRORS,
        examples=[
            OpenApiExample("Who sees it?", {"object": "document:roadmap", "relation": "viewer"}, request_only=True)
        ],
        summary="List who has a relation to an object",
    )
    def post(self, request: Request) -> dict[str, Any]:
        """All of them, a page at a time, in the order of their ids. For staff."""
        data = self.input()
        asked = self.asked(data)
        with problems.told():
            wanted = read_object(asked.engine.model, data["object"])
            find_relation(asked.engine.model, wanted.type, data["relation"], NOT_FOUND, member="relation")
            kind, _, relation = data["user_type"].partition("#")
            check_kind(asked.engine.model, kind, relation, NOT_FOUND, member="user_type")
            bounds = {"limit": data["limit"], "after": read_position(request, data)}
            page = asked.engine.page_of_users(
                str(wanted), data["relation"], data["user_type"], **asked.brought_towards(wanted), **bounds
            )
        users = list(map(names.outward, page.items))
        return {"users": users, "next": next_position(request, page.next), "complete": page.is_complete}
