"""Questions to the permission engine: may somebody do something?"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

from accounts.api import permission_serializers as s
from accounts.api.permission_input import check_faults, read_object
from accounts.api.permission_questions import Asked, QuestionView
from accounts.errors import (
    PermissionModelNotFound,
    QuestionInvalid,
    QuestionTooComplex,
    RelationNotFound,
    TupleInvalid,
    TypeNotFound,
)
from accounts.permissions import names, problems
from accounts.permissions.defined import NOT_FOUND, find_relation
from accounts.permissions.faults import Refused
from core.api.operations import operation
from core.api.requests import Request
from core.errors import FieldFault, InvalidInput

QUESTION_ERRORS = (QuestionInvalid, QuestionTooComplex, TupleInvalid, PermissionModelNotFound)


class CheckView(QuestionView):
    @operation(
        request=s.CheckInput,
        response=s.CheckReply,
        idempotency="exempt",
        errors=QUESTION_ERRORS,
        examples=[
            OpenApiExample("May I?", {"relation": "viewer", "object": "document:roadmap"}, request_only=True),
            OpenApiExample("Yes", {"allowed": True}, response_only=True),
        ],
        summary="Ask whether somebody has a relation to an object",
    )
    def post(self, request: Request) -> dict[str, Any]:
        """Staff ask about anybody; everybody else about themselves. An object that is not there is one to which nobody
        has a relation."""
        data = self.input()
        asked = self.asked(data)
        with problems.told():
            one = asked.about(data)
            answer = asked.engine.check(str(one.subject), one.relation, str(one.object), **asked.brought_about(one))
        return {"allowed": answer}


class BatchCheckView(QuestionView):
    @operation(
        request=s.BatchCheckInput,
        response=s.BatchCheckReply,
        idempotency="exempt",
        errors=QUESTION_ERRORS,
        examples=[
            OpenApiExample(
                "Two questions",
                {
                    "checks": [
                        {"relation": "viewer", "object": "document:roadmap"},
                        {"relation": "editor", "object": "document:roadmap"},
                    ]
                },
                request_only=True,
            ),
            OpenApiExample("Two answers", {"results": [{"allowed": True}, {"allowed": False}]}, response_only=True),
        ],
        summary="Ask many such questions at once",
    )
    def post(self, request: Request) -> dict[str, Any]:
        """Answers in the order of the request; a question that cannot be answered has its fault in the place of the
        answer, and the others are answered."""
        data = self.input()
        asked = self.asked(data)
        results = _read(asked, data["checks"])
        places = [number for number, one in enumerate(results) if not isinstance(one, Refused)]
        read = list(map(results.__getitem__, places))
        questions = [(str(one.subject), one.relation, str(one.object)) for one in read]
        with problems.told():
            answers = asked.engine.check_many(questions, **asked.brought_about(*read))
        for number, answer in zip(places, answers, strict=True):
            results[number] = answer
        return {"results": [_written(answer, f"/checks/{number}") for number, answer in enumerate(results)]}


class ExpandView(QuestionView):
    is_for_staff = True

    @operation(
        request=s.ExpandInput,
        response=s.ExpandReply,
        idempotency="exempt",
        errors=(*QUESTION_ERRORS, TypeNotFound, RelationNotFound),
        summary="Show what a relation of an object is made of",
    )
    def post(self, request: Request) -> Any:
        """One level deep, as OpenFGA's expand answers. For staff."""
        data = self.input()
        asked = self.asked(data)
        with problems.told():
            wanted = read_object(asked.engine.model, data["object"])
            find_relation(asked.engine.model, wanted.type, data["relation"], NOT_FOUND, member="relation")
            tree = asked.engine.expand(str(wanted), data["relation"], **asked.brought_towards(wanted))
        return names.outward_all(tree.as_json())


class ExplainView(QuestionView):
    is_for_staff = True

    @operation(
        request=s.CheckInput,
        response=s.ExplainReply,
        idempotency="exempt",
        errors=QUESTION_ERRORS,
        summary="Say why the answer to a check is what it is",
    )
    def post(self, request: Request) -> dict[str, Any]:
        """The shortest way over tuples and rules that leads to a yes, or each way that was tried. For staff."""
        data = self.input()
        asked = self.asked(data)
        with problems.told():
            one = asked.about(data)
            found = asked.engine.explain(str(one.subject), one.relation, str(one.object), **asked.brought_about(one))
        return {**names.outward_all(found.as_json()), "text": list(map(names.outward_within, found.lines()))}


def _read(asked: Asked, documents: list[Any]) -> list[Any]:
    """Return each question, or what is wrong with it. Raises `InvalidInput` for what is not of the shape of one."""
    found: list[Any] = []
    faults: list[FieldFault] = []
    for number, document in enumerate(documents):
        pointer = f"/checks/{number}"
        shape = list(check_faults(document, pointer))
        faults += shape
        if not shape:
            try:
                found.append(asked.about(document, pointer))
            except Refused as refused:
                found.append(refused)
    if faults:
        raise InvalidInput("A check is not valid.", faults=faults[:100])
    return found


def _written(answer: bool | Refused, pointer: str) -> dict[str, Any]:
    if not isinstance(answer, Refused):
        return {"allowed": answer}
    fault = problems.fault_of(answer, pointer).as_payload()
    allowed = {"allowed_types": list(answer.allowed)} if answer.allowed else {}
    return {"error": {**fault, "openfga_code": int(answer.code), **allowed}}
